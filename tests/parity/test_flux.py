"""The same noise, prompt and grid through diffusers' own FLUX.1 pipelines and through ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxFillPipeline,
    FluxImg2ImgPipeline,
    FluxInpaintPipeline,
    FluxPipeline,
)
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from support.models import PROMPT
from support.models_flux import FACTOR, Kind, write_flux
from support.overheard_transformer import drawing, ours, theirs
from support.parts import TOKENS
from support.stages import Overheard, parting
from torch import Tensor

from latentry import Flow, ModelFiles, Trailing
from latentry_flux.checkpoint import open_checkpoint

KINDS: tuple[Kind, ...] = ("dev", "schnell", "fill")
STEPS = {"dev": 20, "schnell": 4, "fill": 20}
GUIDANCE = {"dev": 3.5, "schnell": 1.0, "fill": 30.0}
OTHER = "a green star on a white background"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Random models by variant."""
    root = tmp_path_factory.mktemp("flux")
    return {kind: write_flux(root / kind, kind) for kind in KINDS}


def start(count: int, height: int = 16, width: int = 16, seed: int = 12) -> Tensor:
    """Standard normal, for both."""
    return torch.randn((count, 16, height, width), generator=torch.Generator().manual_seed(seed))


def packed(latents: Tensor) -> Tensor:
    """As the peer takes them."""
    return FluxPipeline._pack_latents(latents, *latents.shape)


def mine(folder: Path, latents: Tensor, *prompts: str, **settings: Any) -> Overheard:
    """Latentry's side."""
    kind, (height, width) = folder.name, (FACTOR * side for side in latents.shape[2:])
    chosen = {"steps": STEPS[kind], "guidance": GUIDANCE[kind], "height": height, "width": width, **settings}
    return ours(folder, prompts, latents, **chosen)


def peer(pipeline: Any, folder: Path, *prompts: str, height: int = 64, width: int = 64, **options: Any) -> Overheard:
    """diffusers' side."""
    return theirs(
        pipeline,
        folder,
        prompts,
        num_inference_steps=STEPS[folder.name],
        guidance_scale=GUIDANCE[folder.name],
        height=height,
        width=width,
        max_sequence_length=TOKENS,
        **options,
    )


@pytest.mark.parametrize("kind", ["dev", "schnell"])
def test_both_pipelines_agree(folders: Mapping[str, Path], kind: Kind) -> None:
    found = mine(folders[kind], start(1), PROMPT)
    assert parting(found, peer(FluxPipeline, folders[kind], PROMPT, latents=packed(start(1)))) == ""
    assert len(found.inputs) == STEPS[kind]
    assert ("guidance" in found.told) == (kind == "dev")


def test_both_pipelines_agree_on_a_wide_batch_of_two_prompts(folders: Mapping[str, Path]) -> None:
    latents = start(2, 12, 24)
    found = mine(folders["dev"], latents, PROMPT, OTHER)
    heard = peer(FluxPipeline, folders["dev"], PROMPT, OTHER, latents=packed(latents), height=48, width=96)
    assert parting(found, heard) == ""
    assert float((found.latents[0][0] - found.latents[0][1]).abs().max()) > 0.1


def test_both_pipelines_agree_through_an_attention_backend(folders: Mapping[str, Path]) -> None:
    """Double and single blocks, the autoencoder and the text encoders."""
    found = mine(folders["dev"], start(1), PROMPT, attention="sdpa")
    assert parting(found, peer(FluxPipeline, folders["dev"], PROMPT, latents=packed(start(1)))) == ""


@pytest.mark.parametrize("strength", [0.3, 0.6])
def test_both_pipelines_agree_from_a_picture(folders: Mapping[str, Path], strength: float) -> None:
    picture, _ = drawing()
    found = mine(folders["dev"], start(1, seed=7), PROMPT, init_image=picture, strength=strength)
    generator = torch.Generator().manual_seed(7)
    given = {"image": picture, "strength": strength, "generator": generator}
    heard = peer(FluxImg2ImgPipeline, folders["dev"], PROMPT, **given)
    assert parting(found, heard) == ""
    assert len(found.inputs) == round(20 * strength)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_both_pipelines_agree_within_a_mask(folders: Mapping[str, Path], strength: float) -> None:
    picture, mask = drawing()
    found = mine(folders["dev"], start(1, seed=7), PROMPT, init_image=picture, mask=mask, strength=strength)
    generator = torch.Generator().manual_seed(7)
    given = {"image": picture, "mask_image": mask, "strength": strength, "generator": generator}
    heard = peer(FluxInpaintPipeline, folders["dev"], PROMPT, **given)
    assert parting(found, heard) == ""


def test_both_pipelines_agree_on_filling(folders: Mapping[str, Path]) -> None:
    """The samples hold what Fill is shown of the picture and of the mask."""
    picture, mask = drawing()
    found = mine(folders["fill"], start(1), PROMPT, init_image=picture, mask=mask)
    given = {"image": picture, "mask_image": mask, "latents": packed(start(1))}
    heard = peer(FluxFillPipeline, folders["fill"], PROMPT, **given)
    assert parting(found, heard) == ""
    assert found.inputs[0].shape[-1] == 64 + 64 + 4 * FACTOR**2


@pytest.mark.parametrize("steps", [1, 4, 20, 28])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pixels", [64, 256, 1024])
def test_the_grid_is_flow_matchings(folders: Mapping[str, Path], kind: Kind, pixels: int, steps: int) -> None:
    """Under each checkpoint's own configuration; 8 pixels make a token's side here."""
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folders[kind] / "scheduler", local_files_only=True)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), mu=calculate_shift((pixels // 8) ** 2))
    points = Trailing(shift=open_checkpoint(ModelFiles(folders[kind]), kind).shift(pixels, pixels)).points(
        steps, Flow()
    )
    assert [point.sigma for point in points] == pytest.approx(scheduler.sigmas[:-1].tolist(), rel=1e-6)
    assert [point.timestep for point in points] == pytest.approx(scheduler.timesteps.tolist(), rel=1e-6)


def test_the_comparison_would_notice(folders: Mapping[str, Path]) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    folder, noise = folders["dev"], start(1)
    heard = peer(FluxPipeline, folder, PROMPT, latents=packed(noise))

    def apart(prompt: str = PROMPT, latents: Tensor = noise, **settings: Any) -> str:
        return parting(mine(folder, latents, prompt, **settings), heard)

    assert apart(prompt=OTHER).startswith("ids of")
    assert apart(guidance=3.6).startswith("told guidance")
    assert apart(sigma_options={"shift": 1.5}).startswith("times")
    assert apart(latents=noise * 1.001).startswith("initial latents")
    assert apart(scheduler="dpmpp-2m", sigmas="trailing").startswith("latents after 2 steps")  # the first is Euler's
