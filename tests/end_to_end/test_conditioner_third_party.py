"""A third party's conditioner in 40 lines, built and installed with pip, in all families that it declares."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.commandline import clean_environment
from support.distributions import Distribution, Site, install
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl

pytestmark = pytest.mark.slow

FAMILIES: dict[str, Callable[[Path], Path]] = {
    "sd": write_stable_diffusion,
    "sdxl": write_stable_diffusion_xl,
    "sd3": write_stable_diffusion_3,
    "flux": write_flux,
}

MINE = """
from latentry import ConditionerSpec, Detection, hookimpl

@hookimpl
def latentry_conditioners():
    yield ConditionerSpec(
        name="brightness", target="latentry_brightness.code:opened", detector="latentry_brightness:detect",
        summary="as bright as a picture",
        families=("latentry-sd:sd", "latentry-sdxl:sdxl", "latentry-sd3:sd3", "latentry-flux:flux"),
    )

def detect(files):
    return Detection(("table",), 0.9, ("its name",)) if files.path.name.startswith("brightness") else None
"""
CODE = """
import torch
from safetensors.torch import load_file
from latentry.conditioners import BaseConditioner

POINTS = {"latentry-sd3:sd3": "block.0", "latentry-flux:flux": "double.0"}

def opened(files, family, base):
    return Brightness(files.path, POINTS.get(family, "mid"))

class Brightness(BaseConditioner):
    def __init__(self, path, point):
        self.path, self.point = path, point

    def load(self, device, dtype):
        self.gain = load_file(self.path)["gain"].to(device, dtype)
        return self

    def prepare(self, model, picture, options, number):
        level = (picture.mean().to(self.gain) * self.gain).view(1, 1, 1, 1)
        if self.point != "mid":  # a transformer's norms do not see what all channels have in common
            level = level[0] * torch.linspace(-1, 1, model.transformer.inner_dim).to(self.gain)
        return lambda asked: {self.point: asked.weight * level}
"""

RUN = """
import json, sys
import torch
from latentry import ControlRequest, Engine, GenerationRequest, PluginHost

torch.set_num_threads(1)
given, picture, weights = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
found = {}
for family, folder in given.items():
    engine = Engine(PluginHost())
    def draw(weight, batch=2):
        controls = (ControlRequest(model=weights, picture=picture, weight=weight),)
        request = GenerationRequest(
            prompt=("a red circle", "a green star on white"), model=folder, steps=3, seed=1, batch=batch, device="cpu",
            dtype="float32", attention="native", controls=controls,
        )
        return engine.generate(request)
    plain, mine, alone = draw(0.0), draw(1.0), draw(1.0, batch=1)
    def apart(a, b):
        return float((a - b).abs().max() / b.abs().max())
    found[family] = {
        "own": apart(mine.latents, plain.latents),
        "alone": apart(alone.latents, mine.latents),
        "again": apart(engine.reproduce(mine.recipes[1]).latents, mine.latents[1:]),
        "plugin": mine.recipes[0].plugins["conditioner"].model_dump(),
        "digests": [list(each) for each in mine.recipes[0].controls],
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """This Python, with the distribution besides."""
    mine = Distribution("latentry-brightness", MINE, {"code.py": CODE})
    path = clean_environment()["PYTHONPATH"].split(":")
    return Site((install(tmp_path_factory.mktemp("third"), mine), *map(Path, path)))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A picture, and the conditioner's one weight."""
    import torch
    from safetensors.torch import save_file

    root = tmp_path_factory.mktemp("files")
    Image.new("RGB", (64, 64), (230, 230, 230)).save(root / "light.png")
    save_file({"gain": torch.tensor([2.0])}, root / "brightness.safetensors")
    return root / "light.png", root / "brightness.safetensors"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A tiny folder of each family."""
    root = tmp_path_factory.mktemp("families")
    return {family: str(write(root / family)) for family, write in FAMILIES.items()}


@pytest.fixture(scope="module")
def found(site: Site, models: dict[str, str], files: tuple[Path, Path]) -> dict[str, Any]:
    """What one fresh process saw in each family."""
    done = site.run("-c", RUN, json.dumps(models), *map(str, files), HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def test_a_conditioner_takes_forty_lines() -> None:
    assert len([line for line in (MINE + CODE).splitlines() if line]) <= 40


@pytest.mark.parametrize("family", FAMILIES)
def test_a_third_partys_conditioner_steers(family: str, found: dict[str, Any]) -> None:
    """Another picture with it than without it, alone or in company, and the same again from the recipe."""
    report = found[family]
    assert report["own"] > 1e-2
    assert report["alone"] < 1e-3
    assert report["again"] == 0.0
    assert report["plugin"]["distribution"] == "latentry-brightness"
    ((network, picture),) = report["digests"]
    assert len(picture) == 64
    assert network


def test_the_command_line_steers_and_draws_again(
    site: Site, models: dict[str, str], files: tuple[Path, Path], tmp_path: Path
) -> None:
    picture, weights = files
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    steered = ("--control", f"{weights}={picture}:0.8:0-0.5", "--seed", "4", "--steps", "2")
    done = site.latentry("generate", "a", "--model", models["sd"], *steered, "--output", str(first))
    assert done.returncode == 0, done.stderr
    done = site.latentry("generate", "--from", str(first), "--trust", "--output", str(second))
    assert done.returncode == 0, done.stderr
    assert Image.open(first).tobytes() == Image.open(second).tobytes()
    Image.new("RGB", (64, 64), "black").save(picture)
    again = ("--from", str(first), "--trust", "--overwrite", "--output", str(second))
    done = site.latentry("generate", *again)
    assert done.returncode != 0
    assert "is not the one that the picture was steered by" in done.stderr + done.stdout
