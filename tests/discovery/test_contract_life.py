"""Plugins that bound the contract live as long as it does, and are told what to do before and after."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version
from support.distributions import CORE, Distribution, Site, install, pip_install
from support.faulty import IMPORTS, scheduler

from latentry import API, PluginHost
from latentry._discovery._loading._contract import check_requirements

FROZEN = Path(__file__).parent / "contract_1_0"
KINDS = {
    "schedulers": "frozen",
    "sigma_schedules": "frozen-even",
    "families": "frozen",
    "attention_backends": "frozen",
    "guidance": "frozen",
    "checkpoints": "frozen-model",
    "model_sources": "frozen",
    "commands": "freeze",
    "conditioners": "frozen",
    "controls": "frozen-control",
    "executors": "frozen",
}

DRAW = """
import json
from latentry import Engine, GenerationRequest, PluginHost
host = PluginHost(load=["latentry", "frozen"])
assert not host.problems, host.problems
found = []
also = {"guidance_method": "frozen", "guidance": 3.0}
for model in ("frozen-model", "shelf/frozen"):
    request = GenerationRequest(prompt="a", model=model, seed=3, steps=4, device="cpu", attention="frozen", **also)
    result = Engine(host).generate(request)
    recipe = result.recipes[0].request
    found.append([recipe.scheduler, recipe.sigmas, list(result.images[0].size), float(result.latents.std()) > 0.1])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the frozen plugin is installed; built from a copy, as a build leaves files behind."""
    folder = tmp_path_factory.mktemp("frozen")
    return pip_install(folder / "site", Path(shutil.copytree(FROZEN, folder / "latentry-frozen")))


def released(core: Path, folder: Path, version: str, contract: tuple[int, int]) -> Path:
    """The core as a release with another number and another version of the contract."""
    copy = Path(shutil.copytree(core, folder / f"core-{version}"))
    (info,) = copy.glob("latentry-*.dist-info")
    metadata = info / "METADATA"
    before = next(line for line in metadata.read_text(encoding="utf-8").splitlines() if line.startswith("Version: "))
    metadata.write_text(metadata.read_text(encoding="utf-8").replace(before, f"Version: {version}"), encoding="utf-8")
    info.rename(copy / f"latentry-{version}.dist-info")
    specs = copy / "latentry" / "_specs.py"
    text, line = specs.read_text(encoding="utf-8"), "API: tuple[int, int] = (1, 0)"
    assert text.count(line) == 1
    specs.write_text(text.replace(line, f"API: tuple[int, int] = {contract}"), encoding="utf-8")
    return copy


def test_the_releases_major_number_is_the_contracts() -> None:
    """0.x counts as 1: what plugins bound, ``<2``, is the contract."""
    assert max(1, Version(PluginHost(load=()).core_version).major) == API[0]


def test_there_is_a_frozen_plugin_of_every_kind() -> None:
    from latentry._discovery._kinds import KINDS as KNOWN

    assert {kind.attribute for kind in KNOWN} == set(KINDS), "a new kind: add a frozen plugin of its first version"


@pytest.mark.parametrize(
    ("release", "contract"), [("0.1.0", (1, 0)), ("0.2.0", (1, 0)), ("0.9.3", (1, 4)), ("1.7.0", (1, 11))]
)
def test_a_plugin_of_1_0_works_while_the_major_version_is_1(
    core: Path, frozen: Path, tmp_path: Path, release: str, contract: tuple[int, int]
) -> None:
    site = Site((released(core, tmp_path, release, contract), frozen))
    report = site.host(load=["latentry", "frozen"])
    assert report.problems == []
    assert all(name in report.names[attribute] for attribute, name in KINDS.items())
    assert (
        json.loads(site.python(DRAW)) == [["latentry-frozen:frozen", "latentry-frozen:frozen-even", [16, 16], True]] * 2
    )
    said = site.latentry("freeze", LATENTRY_PLUGINS="latentry,frozen")
    assert (said.returncode, said.stdout) == (0, "cold, with 1 schedulers\n")
    assert said.stderr == ""


def test_a_plugin_of_1_0_is_refused_by_contract_2_before_it_is_imported(
    core: Path, frozen: Path, tmp_path: Path
) -> None:
    site = Site((released(core, tmp_path, "2.0.0", (2, 0)), frozen))
    code = "import sys; from latentry import PluginHost; print(PluginHost(load=['frozen']).problems[0].message)"
    told = site.python(code + "; print('latentry_frozen' in sys.modules)").splitlines()
    assert "it requires latentry<2,>=0.1; this is latentry 2.0.0." in told[0]
    assert "Upgrade the plugin, latentry-frozen." in told[1]
    assert told[2] == "False"


@pytest.mark.parametrize("release", ["0.2.0", "0.10.0", "1.0.0", "1.31.4"])
def test_every_plugin_here_takes_the_next_releases(release: str) -> None:
    """A bound such as <0.2 in one of our own would show here."""
    projects = sorted((CORE.parent / "plugins").glob("*/pyproject.toml"))
    assert len(projects) > 30
    for path in projects:
        needed = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"]
        check_requirements(path.parent.name, needed, release)


LATER = Distribution(
    "latentry-later",
    scheduler("later", target="a:B").replace("summary='For a test.'", "summary='For a test.', warmth=3"),
)
NEWER_NAME = Distribution("latentry-newer-name", "from latentry import SomethingOfTomorrow\n")
BROKEN_CALL = Distribution(
    "latentry-broken-call", IMPORTS + "@hookimpl\ndef latentry_schedulers():\n    yield dict(1, warmth=2)\n"
)


def test_what_a_plugin_is_told_that_uses_what_this_core_lacks(core: Path, tmp_path: Path) -> None:
    report = Site((core, install(tmp_path, LATER, NEWER_NAME, BROKEN_CALL))).host()
    (later,), (name,), (call,) = (report.of(each.name) for each in (LATER, NEWER_NAME, BROKEN_CALL))
    assert "this version of latentry has no field 'warmth' in SchedulerSpec" in later["what"]
    assert "SomethingOfTomorrow" in name["why"]
    for told in (later, name):
        assert "newer version: upgrade latentry." in told["remedy"]
    assert call["why"].startswith("TypeError: 'int' object")  # a mistake of the plugin's own stays one
    assert "newer release of latentry-broken-call" in call["remedy"]
