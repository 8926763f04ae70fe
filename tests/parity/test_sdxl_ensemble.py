"""Base and refiner as an ensemble: diffusers' two pipelines, one after the other, and our one run."""

from __future__ import annotations

from pathlib import Path

import pytest
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from support.models import PROMPT
from support.models_sdxl import Kind, write_stable_diffusion_xl
from support.overheard_unet import overhearing_unets
from support.sdxl_runs import STEPS, draw, ours, pipeline
from support.stages import Overheard, parting

from latentry import Engine, PluginHost

OTHER = "a green star on a white background"
NEGATIVE = "a blue circle"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    models, kinds = tmp_path_factory.mktemp("sdxl"), ("base", "refiner")
    return {kind: write_stable_diffusion_xl(models / kind, kind, seed=seed) for seed, kind in enumerate(kinds)}


def theirs(folders: dict[Kind, Path], scheduler: str, switch: float, *prompts: str) -> Overheard:
    """diffusers' two pipelines: ``denoising_end`` of the one is ``denoising_start`` of the other."""
    first = pipeline(StableDiffusionXLPipeline, folders["base"], scheduler)
    second = pipeline(StableDiffusionXLImg2ImgPipeline, folders["refiner"], scheduler, vae=first.vae)
    common = {"prompt": list(prompts), "negative_prompt": [NEGATIVE] * len(prompts), "guidance_scale": 5.0}
    common["num_inference_steps"] = STEPS
    with overhearing_unets([first.unet, second.unet], first.vae, len(prompts)) as heard:
        latents = first(**common, latents=draw(len(prompts)), denoising_end=switch, output_type="latent").images
        second(**common, image=latents, denoising_start=switch, output_type="pt")
    return heard


@pytest.mark.parametrize("switch", [0.8, 0.33])
@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_both_agree(engine: Engine, folders: dict[Kind, Path], scheduler: str, switch: float) -> None:
    given = {"refiner": str(folders["refiner"]), "switch": switch, "negative": NEGATIVE, "guidance": 5.0}
    mine = ours(engine, folders["base"], scheduler, (PROMPT, OTHER), draw(2), **given)
    assert parting(mine, theirs(folders, scheduler, switch, PROMPT, OTHER)) == ""
    assert len(mine.inputs) == STEPS
    told = {name: tuple(tensor.shape) for name, tensor in mine.told.items()}
    assert told["time_ids of UNet 0"] == (4, 6)
    assert told["time_ids of UNet 1"] == (4, 5)
    assert told["text of UNet 1"][-1] < told["text of UNet 0"][-1]


def test_another_switch_would_be_noticed(engine: Engine, folders: dict[Kind, Path]) -> None:
    given = {"refiner": str(folders["refiner"]), "switch": 0.75, "negative": NEGATIVE, "guidance": 5.0}
    mine = ours(engine, folders["base"], "ddim", (PROMPT,), draw(), **given)
    assert parting(mine, theirs(folders, "ddim", 0.8, PROMPT)).startswith("latents after")
