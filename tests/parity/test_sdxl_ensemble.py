"""Base and refiner as an ensemble: diffusers' two pipelines, one after the other, and our one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from support.both_pipelines import SCHEDULERS, Peers, draw, ours
from support.models import PROMPT
from support.models_sdxl import Kind, write_stable_diffusion_xl
from support.recorded_pipeline import recording_of
from support.recording import Recording, first_difference

from latentry import Engine

pytestmark = pytest.mark.slow

STEPS = 20
OTHER = "a green star on a white background"
NEGATIVE = "a blue circle"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    models = tmp_path_factory.mktemp("sdxl")
    kinds: tuple[Kind, ...] = ("base", "refiner")
    return {kind: write_stable_diffusion_xl(models / kind, kind, seed=seed) for seed, kind in enumerate(kinds)}


def theirs(peers: Peers, folders: dict[Kind, Path], scheduler: str, switch: float, *prompts: str) -> Recording:
    """diffusers' two pipelines: ``denoising_end`` of the one is ``denoising_start`` of the other."""
    first = peers(folders["base"], StableDiffusionXLPipeline, scheduler)
    second = peers(folders["refiner"], StableDiffusionXLImg2ImgPipeline, scheduler, vae=first.vae)
    common = {"prompt": list(prompts), "negative_prompt": [NEGATIVE] * len(prompts), "guidance_scale": 5.0}
    common["num_inference_steps"] = STEPS
    with recording_of([first, second], len(prompts)) as recorded:
        latents = first(**common, latents=draw(len(prompts)), denoising_end=switch, output_type="latent").images
        second(**common, image=latents, denoising_start=switch, output_type="pt")
    return recorded


def together(folders: dict[Kind, Path], scheduler: str, switch: float) -> dict[str, Any]:
    """Settings of ours for the same."""
    given = {"refiner": str(folders["refiner"]), "switch": switch, "negative": NEGATIVE, "guidance": 5.0}
    return {"steps": STEPS, **SCHEDULERS[scheduler], **given}


@pytest.mark.parametrize("switch", [0.8, 0.33])
@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_both_agree(engine: Engine, peers: Peers, folders: dict[Kind, Path], scheduler: str, switch: float) -> None:
    mine = ours(engine, folders["base"], (PROMPT, OTHER), draw(2), **together(folders, scheduler, switch))
    assert first_difference(mine, theirs(peers, folders, scheduler, switch, PROMPT, OTHER)) == ""
    assert len(mine.inputs) == STEPS
    told = {name: tuple(tensor.shape) for name, tensor in mine.conditioning.items()}
    assert told["time_ids"] == (4, 6)
    assert told["time_ids of the refiner"] == (4, 5)
    assert told["encoder_hidden_states of the refiner"][-1] < told["encoder_hidden_states"][-1]


def test_another_switch_would_be_noticed(engine: Engine, peers: Peers, folders: dict[Kind, Path]) -> None:
    mine = ours(engine, folders["base"], (PROMPT,), draw(), **together(folders, "ddim", 0.75))
    assert first_difference(mine, theirs(peers, folders, "ddim", 0.8, PROMPT)).startswith("latents after")
