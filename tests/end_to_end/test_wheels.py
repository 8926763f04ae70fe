"""Built as wheels and installed with pip beside the core alone: there, at work, and gone again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.distributions import CORE
from support.isolated import PLUGINS, Environment, build_wheels, make_environment

pytestmark = pytest.mark.slow

COMMAND = "import sys; from latentry._cli import main; sys.exit(main())"
USE = """
import importlib.util, json
from latentry_{module} import {name}
built = {name}().build(20)
import torch
x = torch.ones(1, 4, 2, 2)
for timestep in built.timesteps:
    x = built.step(0.1 * built.scale_model_input(x, timestep), timestep, x)
print(json.dumps({{
    "steps": len(built.timesteps),
    "finite": bool(x.isfinite().all()),
    "others": list(filter(importlib.util.find_spec, ("diffusers", "transformers", "latentry_sd", "latentry_shapes"))),
}}))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of the core and the two schedulers."""
    projects = {"core": CORE, "ddim": PLUGINS / "latentry-ddim", "euler": PLUGINS / "latentry-euler"}
    built = build_wheels(tmp_path_factory.mktemp("wheels"), *projects.values())
    return dict(zip(projects, built, strict=True))


@pytest.fixture
def environment(wheels: dict[str, Path], tmp_path: Path) -> Iterator[Environment]:
    """With the core alone."""
    made = make_environment(tmp_path, "latentry")
    made.install(wheels["core"])
    yield made


def names(environment: Environment) -> list[str]:
    """The schedulers it lists."""
    done = environment.run("-c", COMMAND, "schedulers", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [record["name"] for record in json.loads(done.stdout)]


def test_schedulers_come_and_go_with_pip(environment: Environment, wheels: dict[str, Path]) -> None:
    assert names(environment) == []
    environment.install(wheels["ddim"], wheels["euler"])
    assert names(environment) == ["ddim", "euler"]
    for module, name in (("ddim", "DDIM"), ("euler", "Euler")):
        done = environment.run("-c", USE.format(module=module, name=name))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"steps": 20, "finite": True, "others": []}
    environment.pip("uninstall", "--yes", "latentry-ddim")
    assert names(environment) == ["euler"]
    environment.pip("uninstall", "--yes", "latentry-euler")
    assert names(environment) == []


def test_the_core_alone_says_what_it_lacks(environment: Environment, tmp_path: Path) -> None:
    done = environment.run("-c", COMMAND, "generate", "a star", "--output", tmp_path / "a.png")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: No model was given and none is installed.")
    assert "./plugins/latentry-sd ./plugins/latentry-shapes in a clone" in done.stderr
    assert not (tmp_path / "a.png").exists()


def test_a_wheel_holds_its_module_and_its_licence_only(wheels: dict[str, Path]) -> None:
    from zipfile import ZipFile

    for name, wheel in wheels.items():
        modules = {"latentry", "latentry_main.py"} if name == "core" else {f"latentry_{name}"}
        with ZipFile(wheel) as opened:
            tops = {path.split("/")[0] for path in opened.namelist()}
            files = opened.namelist()
        assert {top for top in tops if not top.endswith(".dist-info")} == modules
        assert any(path.endswith("LICENSE") for path in files)
        assert any(f"{module}/py.typed" in files for module in modules)
        assert not any("test" in path.split("/") or path.endswith(".pyc") for path in files)
