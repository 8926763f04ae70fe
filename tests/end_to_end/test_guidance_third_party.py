"""A third party's guidance in 25 lines, built and installed with pip, in all families that it declares."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.commandline import clean_environment
from support.distributions import Distribution, Site, install
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_flux2 import write_flux2
from support.models_qwen_image import write_qwen_image
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from support.models_z_image import write_z_image

pytestmark = pytest.mark.slow

FAMILIES: dict[str, Callable[[Path], Path]] = {
    "sd": write_stable_diffusion,
    "sdxl": write_stable_diffusion_xl,
    "sd3": write_stable_diffusion_3,
    "flux": write_flux,
    "flux2": partial(write_flux2, kind="dev"),
    "qwen-image": write_qwen_image,
    "z-image": partial(write_z_image, kind="base"),
}
"""All that have a variant of the kinds that it declares."""
MINE = """
from latentry import GuidanceSpec, hookimpl

@hookimpl
def latentry_guidance():
    yield GuidanceSpec(
        name="fading", target="latentry_fading.code:Fading", summary="guidance that forgets", memory=True,
        neutral=None, kinds=frozenset({"classifier-free", "distilled"}),
    )
"""
CODE = """
from typing import NamedTuple
from latentry.guidance import COND, UNCOND, GuidanceMethod

class Last(NamedTuple):
    push: object = None

class Fading(GuidanceMethod):
    Memory = Last
    scale: float = 3.0
    part: float = 0.5

    def guide(self, query, memory):
        uncond, cond = yield UNCOND, COND
        push = cond.x0 - uncond.x0
        push = push if memory.push is None else push - self.part * memory.push
        return query.from_x0(uncond.x0 + self.scale * push), Last(push)
"""

RUN = """
import json, sys
import torch
from latentry import Engine, GenerationRequest, PluginHost

torch.set_num_threads(1)
found = {}
for family, folder in json.loads(sys.argv[1]).items():
    engine = Engine(PluginHost())
    def draw(**guided):
        request = GenerationRequest(
            prompt=("a red circle", "a green star on white"), negative="a blue square", model=folder, steps=4, seed=1,
            device="cpu", dtype="float32", attention="native", **guided
        )
        return engine.generate(request)
    def usual(scale):
        if family in ("flux", "flux2"):
            return draw(guidance_method="true-cfg", guidance_options={"scale": scale})
        return draw(guidance=scale, guidance_method="classifier-free")
    plain, half = usual(3.0), usual(1.5)
    same = draw(guidance_method="fading", guidance_options={"part": 0.0})
    mine = draw(guidance_method="fading")
    alone = draw(guidance_method="fading", batch=1)
    def apart(a, b):
        return float((a - b).abs().max() / b.abs().max())
    found[family] = {
        "as plain": apart(same.latents, plain.latents),
        "own": apart(mine.latents, plain.latents),
        "half": apart(half.latents, plain.latents),
        "alone": apart(alone.latents, mine.latents),
        "again": apart(engine.reproduce(mine.recipes[1]).latents, mine.latents[1:]),
        "plugin": mine.recipes[0].plugins["guidance"].model_dump(),
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """This Python, with the distribution besides."""
    mine = Distribution("latentry-fading", MINE, {"code.py": CODE})
    path = clean_environment()["PYTHONPATH"].split(":")
    return Site((install(tmp_path_factory.mktemp("third"), mine), *map(Path, path)))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A tiny folder of each family."""
    root = tmp_path_factory.mktemp("families")
    return {family: str(write(root / family)) for family, write in FAMILIES.items()}


@pytest.fixture(scope="module")
def found(site: Site, models: dict[str, str]) -> dict[str, Any]:
    """What one fresh process saw in each family."""
    done = site.run("-c", RUN, json.dumps(models), HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def test_a_guidance_takes_twenty_five_lines() -> None:
    assert len([line for line in (MINE + CODE).splitlines() if line]) <= 25


@pytest.mark.parametrize("family", FAMILIES)
def test_a_third_partys_guidance_guides(family: str, found: dict[str, Any]) -> None:
    """With nothing of its own it is plain guidance; with it, another picture, alone or in company, and again.

    Half of the last push is taken off each but the first, which is about what half of the scale does: how much that is
    depends on how well a small random network listens to its prompt.
    """
    report = found[family]
    assert report["as plain"] < 1e-4
    assert report["own"] > max(report["half"] / 3, 3 * report["as plain"])
    assert report["alone"] < 1e-3
    assert report["again"] == 0.0
    assert report["plugin"]["distribution"] == "latentry-fading"
    assert report["plugin"]["version"] == "1.0"


def test_the_command_line_draws_with_it_and_draws_again(site: Site, models: dict[str, str], tmp_path: Path) -> None:
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    guided = ("--guidance-method", "fading", "--guidance-set", "part=0.25", "--seed", "4", "--steps", "2")
    done = site.latentry("generate", "a", "--model", models["sd"], *guided, "--output", str(first))
    assert done.returncode == 0, done.stderr
    done = site.latentry("generate", "--from", str(first), "--trust", "--output", str(second))
    assert done.returncode == 0, done.stderr
    from PIL import Image

    assert Image.open(first).tobytes() == Image.open(second).tobytes()
    records = json.loads(site.latentry("guidance", "--json").stdout)
    assert ["fading", "latentry-fading"] in [[record["name"], record["distribution"]] for record in records]
    refused = site.latentry("generate", "a", "--model", models["flux"], "--guidance-method", "apg")
    assert refused.returncode != 0
    assert "guidance was distilled into the network of dev" in refused.stderr + refused.stdout
    assert "fading" in refused.stderr + refused.stdout
