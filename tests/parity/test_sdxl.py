"""Stable Diffusion XL: the same latents and prompt through diffusers' pipeline and through ours, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
from diffusers import StableDiffusionXLPipeline
from support import both_pipelines
from support.both_pipelines import SCHEDULERS, Peers, draw
from support.models import PROMPT
from support.models_sdxl import write_stable_diffusion_xl
from support.recording import Recording, first_difference
from torch import Tensor

from latentry import Engine

pytestmark = pytest.mark.slow

STEPS = 20
OTHER = "a green star on a white background"
Side = Callable[..., Recording]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stable_diffusion_xl(tmp_path_factory.mktemp("sdxl") / "base")


@pytest.fixture
def theirs(base: Path, peers: Peers) -> Side:
    """diffusers' side."""

    def side(scheduler: str, latents: Tensor, *prompts: str, **options: Any) -> Recording:
        pipeline = peers(base, StableDiffusionXLPipeline, scheduler)
        return both_pipelines.theirs(
            pipeline, prompts or (PROMPT,), latents=latents, num_inference_steps=STEPS, **options
        )

    return side


@pytest.fixture
def ours(base: Path, engine: Engine) -> Side:
    """Latentry's side."""

    def side(scheduler: str, latents: Tensor, *prompts: str, **settings: Any) -> Recording:
        chosen = {"steps": STEPS, **SCHEDULERS[scheduler], **settings}
        return both_pipelines.ours(engine, base, prompts or (PROMPT,), latents, **chosen)

    return side


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_both_pipelines_agree(ours: Side, theirs: Side, scheduler: str, guidance: float) -> None:
    mine = ours(scheduler, draw(), guidance=guidance)
    assert first_difference(mine, theirs(scheduler, draw(), guidance_scale=guidance)) == ""
    assert len(mine.inputs) == STEPS


def test_both_pipelines_agree_on_a_batch_with_a_negative_prompt(ours: Side, theirs: Side) -> None:
    mine = ours("ddim", draw(2), PROMPT, OTHER, guidance=5.0, negative="a blue circle")
    negative = ["a blue circle"] * 2
    peer = theirs("ddim", draw(2), PROMPT, OTHER, guidance_scale=5.0, negative_prompt=negative)
    assert first_difference(mine, peer) == ""
    assert float((mine.latents[0][0] - mine.latents[0][1]).abs().max()) > 0.1


def test_both_pipelines_agree_on_a_wide_picture(ours: Side, theirs: Side) -> None:
    size, noise = {"width": 80, "height": 48}, draw(height=12, width=20)
    mine = ours("euler", noise, guidance=5.0, **size)
    assert first_difference(mine, theirs("euler", noise, guidance_scale=5.0, **size)) == ""


def test_both_pipelines_agree_on_clip_skip(ours: Side, theirs: Side) -> None:
    mine = ours("ddim", draw(), guidance=1.0, clip_skip=1)
    assert first_difference(mine, theirs("ddim", draw(), guidance_scale=1.0, clip_skip=1)) == ""
    assert first_difference(mine, theirs("ddim", draw(), guidance_scale=1.0)).startswith("given encoder_hidden_states")


def test_both_pipelines_agree_on_the_sizes_they_pass(ours: Side, theirs: Side) -> None:
    told = {"original_size": (72, 80), "crop": (3, 5), "target_size": (96, 64)}
    negative = {"negative_original_size": (32, 40), "negative_crop": (1, 2), "negative_target_size": (48, 56)}
    mine = ours("ddim", draw(), guidance=5.0, conditioning=told | negative)
    swapped = {name: pair[::-1] for name, pair in (told | negative).items()}  # height and top come first there
    swapped["crops_coords_top_left"] = swapped.pop("crop")
    swapped["negative_crops_coords_top_left"] = swapped.pop("negative_crop")
    assert first_difference(mine, theirs("ddim", draw(), guidance_scale=5.0, **swapped)) == ""
    assert first_difference(mine, theirs("ddim", draw(), guidance_scale=5.0)).startswith("given time_ids")


def test_both_pipelines_agree_on_turbo(
    engine: Engine, peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps of Euler ancestral; its noise is drawn for both sides."""
    folder, draws = write_stable_diffusion_xl(tmp_path / "turbo", "turbo"), [draw(seed=s) for s in range(4)]
    module, left = diffusers.schedulers.scheduling_euler_ancestral_discrete, list(draws)
    monkeypatch.setattr(module, "randn_tensor", lambda *shape, **options: left.pop(0))
    pipeline = peers(folder, StableDiffusionXLPipeline)
    recorded = both_pipelines.theirs(pipeline, (PROMPT,), latents=draw(), guidance_scale=0.0, num_inference_steps=4)
    given = {"noise": lambda like, step, number, clock: draws[step], **SCHEDULERS["turbo"]}
    mine = both_pipelines.ours(engine, folder, (PROMPT,), draw(), steps=4, **given)
    assert first_difference(mine, recorded) == ""
    assert mine.times == [999, 749, 499, 249]


def test_the_comparison_would_notice(ours: Side, theirs: Side) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    peer = theirs("ddim", draw(), guidance_scale=5.0)
    assert first_difference(ours("ddim", draw(), OTHER, guidance=5.0), peer).startswith("ids of")
    wide = theirs("ddim", draw(), guidance_scale=5.0, original_size=(64, 72))
    assert first_difference(wide, peer).startswith("given time_ids")
    negative = ours("ddim", draw(), guidance=5.0, negative=OTHER)
    assert first_difference(negative, peer).startswith("ids of")
    louder = ours("ddim", draw() * 1.001, guidance=5.0)
    assert first_difference(louder, peer).startswith("initial latents")
    assert first_difference(ours("ddim", draw(), guidance=5.1), peer).startswith("latents after")
