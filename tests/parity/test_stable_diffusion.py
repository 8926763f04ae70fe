"""The same latents, prompt and grid through diffusers' own Stable Diffusion pipeline and through ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline
from support import overheard
from support.models import PROMPT
from support.overheard import Overheard, parting
from torch import Tensor

STEPS = 20
OTHER = "a green star on a white background"
SCHEDULERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddim": (None, {"scheduler": "ddim"}),
    "euler": (EulerDiscreteScheduler, {"scheduler": "euler", "sigmas": "leading", "final": "zero"}),
}
"""diffusers' class (None: the folder's own), and what makes ours the same."""


def start(count: int) -> Tensor:
    """Standard normal, for both."""
    return torch.randn((count, 4, 16, 16), generator=torch.Generator().manual_seed(11))


def theirs(folder: Path, scheduler: str, *prompts: str, guidance: float, **options: Any) -> Overheard:
    """diffusers' side."""
    return overheard.theirs(
        StableDiffusionPipeline,
        folder,
        prompts,
        scheduler=SCHEDULERS[scheduler][0],
        latents=start(len(prompts)),
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        **options,
    )


def ours(
    folder: Path, scheduler: str, *prompts: str, guidance: float, latents: Tensor | None = None, **settings: Any
) -> Overheard:
    """Latentry's side."""
    if "zero-snr" in folder.name:
        settings["final"] = "table"
    chosen = {"steps": STEPS, "guidance": guidance, **SCHEDULERS[scheduler][1], **settings}
    return overheard.ours(folder, prompts, start(len(prompts)) if latents is None else latents, **chosen)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", ["tiny", "tiny-v", "shapes"])
def test_both_pipelines_agree(models: dict[str, Path], name: str, scheduler: str, guidance: float) -> None:
    if name not in models:
        pytest.skip("the shipped model has no weights yet")
    mine, peer = (side(models[name], scheduler, PROMPT, guidance=guidance) for side in (ours, theirs))
    assert parting(mine, peer) == ""
    assert len(mine.inputs) == STEPS


def test_both_pipelines_agree_from_pure_noise(models: dict[str, Path]) -> None:
    mine, peer = (side(models["tiny-zero-snr"], "ddim", PROMPT, guidance=5.0) for side in (ours, theirs))
    assert parting(mine, peer) == ""
    assert mine.times[0] == 999


@pytest.mark.parametrize("name", ["tiny", "shapes"])
def test_both_pipelines_agree_on_a_batch_of_two_prompts(models: dict[str, Path], name: str) -> None:
    if name not in models:
        pytest.skip("the shipped model has no weights yet")
    mine, peer = (side(models[name], "ddim", PROMPT, OTHER, guidance=5.0) for side in (ours, theirs))
    assert parting(mine, peer) == ""
    assert float((mine.latents[0][0] - mine.latents[0][1]).abs().max()) > 0.1


@pytest.mark.parametrize("share", [0.7, 1.0])
def test_both_pipelines_agree_with_rescaled_guidance(models: dict[str, Path], share: float) -> None:
    arguments: Any = (models["tiny-v"], "ddim", PROMPT, OTHER)
    mine, peer = (side(*arguments, guidance=7.5, guidance_rescale=share) for side in (ours, theirs))
    assert parting(mine, peer) == ""
    assert parting(ours(*arguments, guidance=7.5), peer).startswith("latents after 1 steps")


def test_both_pipelines_agree_with_a_negative_prompt(models: dict[str, Path]) -> None:
    mine = ours(models["tiny"], "ddim", PROMPT, guidance=5.0, negative=OTHER)
    assert parting(mine, theirs(models["tiny"], "ddim", PROMPT, guidance=5.0, negative_prompt=[OTHER])) == ""


def test_the_comparison_would_notice(models: dict[str, Path]) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    tiny, scheduler = models["tiny"], "ddim"
    peer = theirs(tiny, scheduler, PROMPT, guidance=5.0)
    assert parting(ours(tiny, scheduler, OTHER, guidance=5.0), peer).startswith("ids of")
    assert parting(ours(tiny, scheduler, PROMPT, guidance=5.0, clip_skip=1), peer).startswith("told encoder")
    louder = ours(tiny, scheduler, PROMPT, guidance=5.0, latents=start(1) * 1.001)
    assert parting(louder, peer).startswith("initial latents")
    assert parting(ours(tiny, scheduler, PROMPT, guidance=6.0), peer).startswith("latents after 1 steps")
    last = f"latents after {STEPS} steps"  # both are of order 1: only the endings differ
    assert parting(ours(tiny, "euler", PROMPT, guidance=5.0), peer).startswith(last)
