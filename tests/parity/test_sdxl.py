"""Stable Diffusion XL: the same latents and prompt through diffusers' pipeline and through ours, stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
from diffusers import StableDiffusionXLPipeline
from support.models import PROMPT
from support.models_sdxl import write_stable_diffusion_xl
from support.sdxl_runs import STEPS, draw, ours, pipeline, theirs
from support.stages import Overheard, parting
from torch import Tensor

from latentry import Engine, PluginHost

OTHER = "a green star on a white background"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stable_diffusion_xl(tmp_path_factory.mktemp("sdxl") / "base")


@pytest.fixture(scope="module")
def peers(base: Path) -> dict[str, Any]:
    return {scheduler: pipeline(StableDiffusionXLPipeline, base, scheduler) for scheduler in ("ddim", "euler")}


def peer_runs(peer: Any, noise: Tensor, *prompts: str, **options: Any) -> Overheard:
    return theirs(peer, prompts or (PROMPT,), None, latents=noise, **options)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_both_pipelines_agree(
    engine: Engine, base: Path, peers: dict[str, Any], scheduler: str, guidance: float
) -> None:
    mine = ours(engine, base, scheduler, (PROMPT,), draw(), guidance=guidance)
    assert parting(mine, peer_runs(peers[scheduler], draw(), guidance_scale=guidance)) == ""
    assert len(mine.inputs) == STEPS


def test_both_pipelines_agree_on_a_batch_with_a_negative_prompt(
    engine: Engine, base: Path, peers: dict[str, Any]
) -> None:
    mine = ours(engine, base, "ddim", (PROMPT, OTHER), draw(2), guidance=5.0, negative="a blue circle")
    negative = ["a blue circle"] * 2
    peer = peer_runs(peers["ddim"], draw(2), PROMPT, OTHER, guidance_scale=5.0, negative_prompt=negative)
    assert parting(mine, peer) == ""
    assert float((mine.latents[0][0] - mine.latents[0][1]).abs().max()) > 0.1


def test_both_pipelines_agree_on_a_wide_picture(engine: Engine, base: Path, peers: dict[str, Any]) -> None:
    size, noise = {"width": 80, "height": 48}, draw(height=12, width=20)
    mine = ours(engine, base, "euler", (PROMPT,), noise, guidance=5.0, **size)
    assert parting(mine, peer_runs(peers["euler"], noise, guidance_scale=5.0, **size)) == ""


def test_both_pipelines_agree_on_clip_skip(engine: Engine, base: Path, peers: dict[str, Any]) -> None:
    mine = ours(engine, base, "ddim", (PROMPT,), draw(), guidance=1.0, clip_skip=1)
    assert parting(mine, peer_runs(peers["ddim"], draw(), guidance_scale=1.0, clip_skip=1)) == ""
    assert parting(mine, peer_runs(peers["ddim"], draw(), guidance_scale=1.0)).startswith("told text")


def test_both_pipelines_agree_on_what_is_told_of_sizes(engine: Engine, base: Path, peers: dict[str, Any]) -> None:
    told = {"original_size": (72, 80), "crop": (3, 5), "target_size": (96, 64)}
    negative = {"negative_original_size": (32, 40), "negative_crop": (1, 2), "negative_target_size": (48, 56)}
    mine = ours(engine, base, "ddim", (PROMPT,), draw(), guidance=5.0, conditioning=told | negative)
    swapped = {name: pair[::-1] for name, pair in (told | negative).items()}  # height and top come first there
    swapped["crops_coords_top_left"] = swapped.pop("crop")
    swapped["negative_crops_coords_top_left"] = swapped.pop("negative_crop")
    assert parting(mine, peer_runs(peers["ddim"], draw(), guidance_scale=5.0, **swapped)) == ""
    assert parting(mine, peer_runs(peers["ddim"], draw(), guidance_scale=5.0)).startswith("told time_ids")


def test_both_pipelines_agree_on_turbo(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four steps of Euler ancestral; its noise is drawn for both sides."""
    folder, draws = write_stable_diffusion_xl(tmp_path / "turbo", "turbo"), [draw(seed=s) for s in range(4)]
    peer = pipeline(StableDiffusionXLPipeline, folder, "turbo")
    module, left = diffusers.schedulers.scheduling_euler_ancestral_discrete, list(draws)
    monkeypatch.setattr(module, "randn_tensor", lambda *shape, **options: left.pop(0))
    heard = peer_runs(peer, draw(), guidance_scale=0.0, steps=4)
    mine = ours(
        engine, folder, "turbo", (PROMPT,), draw(), steps=4, draws=lambda like, step, number, clock: draws[step]
    )
    assert parting(mine, heard) == ""
    assert mine.times == [999, 749, 499, 249]


def test_the_comparison_would_notice(engine: Engine, base: Path, peers: dict[str, Any]) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    peer = peer_runs(peers["ddim"], draw(), guidance_scale=5.0)
    assert parting(ours(engine, base, "ddim", (OTHER,), draw(), guidance=5.0), peer).startswith("told text")
    wide = peer_runs(peers["ddim"], draw(), guidance_scale=5.0, original_size=(64, 72))
    assert parting(wide, peer).startswith("told time_ids")
    louder = ours(engine, base, "ddim", (PROMPT,), draw() * 1.001, guidance=5.0)
    assert parting(louder, peer).startswith("initial latents")
    assert parting(ours(engine, base, "ddim", (PROMPT,), draw(), guidance=5.1), peer).startswith("latents after")
