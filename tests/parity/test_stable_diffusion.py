"""The same latents, prompt and grid through diffusers' own Stable Diffusion pipeline and through ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diffusers import StableDiffusionPipeline
from support import both_pipelines
from support.both_pipelines import SCHEDULERS, Peers, draw
from support.models import PROMPT
from support.recording import Recording, first_difference
from torch import Tensor

from latentry import Engine

pytestmark = pytest.mark.slow

STEPS = 20
OTHER = "a green star on a white background"
Side = Callable[..., Recording]


@pytest.fixture
def theirs(models: dict[str, Path], peers: Peers) -> Side:
    """diffusers' side."""

    def side(name: str, scheduler: str, *prompts: str, guidance: float, **options: Any) -> Recording:
        pipeline = peers(models[name], StableDiffusionPipeline, scheduler)
        given = {"latents": draw(len(prompts)), "num_inference_steps": STEPS, "guidance_scale": guidance}
        return both_pipelines.theirs(pipeline, prompts, **given, **options)

    return side


@pytest.fixture
def ours(models: dict[str, Path], engine: Engine) -> Side:
    """Latentry's side."""

    def side(name: str, scheduler: str, *prompts: str, latents: Tensor | None = None, **settings: Any) -> Recording:
        if "zero-snr" in name:
            settings["final"] = "table"
        chosen = {"steps": STEPS, **SCHEDULERS[scheduler], **settings}
        return both_pipelines.ours(
            engine, models[name], prompts, draw(len(prompts)) if latents is None else latents, **chosen
        )

    return side


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
@pytest.mark.parametrize("name", ["tiny", "tiny-v", "shapes"])
def test_both_pipelines_agree(
    models: dict[str, Path], ours: Side, theirs: Side, name: str, scheduler: str, guidance: float
) -> None:
    if name not in models:
        pytest.skip("the shipped model has no weights yet")
    mine, peer = (side(name, scheduler, PROMPT, guidance=guidance) for side in (ours, theirs))
    assert first_difference(mine, peer) == ""
    assert len(mine.inputs) == STEPS


def test_both_pipelines_agree_from_pure_noise(ours: Side, theirs: Side) -> None:
    mine, peer = (side("tiny-zero-snr", "ddim", PROMPT, guidance=5.0) for side in (ours, theirs))
    assert first_difference(mine, peer) == ""
    assert mine.times[0] == 999


@pytest.mark.parametrize("name", ["tiny", "shapes"])
def test_both_pipelines_agree_on_a_batch_of_two_prompts(
    models: dict[str, Path], ours: Side, theirs: Side, name: str
) -> None:
    if name not in models:
        pytest.skip("the shipped model has no weights yet")
    mine, peer = (side(name, "ddim", PROMPT, OTHER, guidance=5.0) for side in (ours, theirs))
    assert first_difference(mine, peer) == ""
    assert float((mine.latents[0][0] - mine.latents[0][1]).abs().max()) > 0.1


@pytest.mark.parametrize("share", [0.7, 1.0])
def test_both_pipelines_agree_with_rescaled_guidance(ours: Side, theirs: Side, share: float) -> None:
    arguments = ("tiny-v", "ddim", PROMPT, OTHER)
    mine, peer = (side(*arguments, guidance=7.5, guidance_rescale=share) for side in (ours, theirs))
    assert first_difference(mine, peer) == ""
    assert first_difference(ours(*arguments, guidance=7.5), peer).startswith("latents after 1 steps")


def test_both_pipelines_agree_with_a_negative_prompt(ours: Side, theirs: Side) -> None:
    mine = ours("tiny", "ddim", PROMPT, guidance=5.0, negative=OTHER)
    assert first_difference(mine, theirs("tiny", "ddim", PROMPT, guidance=5.0, negative_prompt=[OTHER])) == ""


def test_the_comparison_would_notice(ours: Side, theirs: Side) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    tiny = ("tiny", "ddim")
    peer = theirs(*tiny, PROMPT, guidance=5.0)
    assert first_difference(ours(*tiny, OTHER, guidance=5.0), peer).startswith("ids of")
    assert first_difference(ours(*tiny, PROMPT, guidance=5.0, clip_skip=1), peer).startswith("given encoder")
    louder = ours(*tiny, PROMPT, guidance=5.0, latents=draw() * 1.001)
    assert first_difference(louder, peer).startswith("initial latents")
    assert first_difference(ours(*tiny, PROMPT, guidance=6.0), peer).startswith("latents after 1 steps")
    last = f"latents after {STEPS} steps"  # both are of order 1: only the endings differ
    assert first_difference(ours("tiny", "euler", PROMPT, guidance=5.0), peer).startswith(last)
