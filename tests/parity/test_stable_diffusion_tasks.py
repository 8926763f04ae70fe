"""Image to image and inpainting through diffusers' own pipelines and through ours, from the same noise.

diffusers draws its noise inside the pipelines: here from a generator whose seed ours begins from, too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from support import both_pipelines
from support.both_pipelines import SCHEDULERS, Peers, draw, drawing, seeded
from support.models import PROMPT, write_stable_diffusion
from support.recording import Recording, first_difference

from latentry import Engine
from latentry._generate._batch._start import Blend

pytestmark = pytest.mark.slow

STEPS, GUIDANCE = 20, 5.0
OTHER = "a green star on a white background"
PICTURE, MASK = drawing()
Side = Callable[..., Recording]


@pytest.fixture(scope="module")
def folders(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The models of all parity tests, and an inpainting network."""
    painter = write_stable_diffusion(tmp_path_factory.mktemp("models") / "painter", inpainting=True, seed=5)
    return {**models, "painter": painter}


@pytest.fixture
def theirs(folders: dict[str, Path], peers: Peers) -> Side:
    """diffusers' side."""

    def side(kind: Any, name: str, scheduler: str, *prompts: str, steps: int = STEPS, **options: Any) -> Recording:
        given = {"generator": seeded(), "num_inference_steps": steps, "guidance_scale": GUIDANCE}
        return both_pipelines.theirs(peers(folders[name], kind, scheduler), prompts, **given, **options)

    return side


@pytest.fixture
def ours(folders: dict[str, Path], engine: Engine) -> Side:
    """Latentry's side."""

    def side(name: str, scheduler: str, *prompts: str, **settings: Any) -> Recording:
        chosen = {"steps": STEPS, "guidance": GUIDANCE, **SCHEDULERS[scheduler], **settings}
        return both_pipelines.ours(engine, folders[name], prompts, draw(len(prompts)), **chosen)

    return side


@pytest.mark.parametrize(
    ("name", "scheduler", "strength"),
    [
        ("tiny", "ddim", 0.6),
        ("tiny", "euler", 0.6),
        ("tiny", "ddim", 1.0),
        ("tiny-v", "ddim", 0.29),
        ("shapes", "ddim", 0.5),
    ],
)
def test_both_pipelines_agree_from_a_picture(
    folders: dict[str, Path], ours: Side, theirs: Side, name: str, scheduler: str, strength: float
) -> None:
    if name not in folders:
        pytest.skip("the shipped model has no weights yet")
    arguments = (name, scheduler, PROMPT, OTHER)
    mine = ours(*arguments, init_image=PICTURE, strength=strength)
    peer = theirs(StableDiffusionImg2ImgPipeline, *arguments, image=[PICTURE] * 2, strength=strength)
    assert first_difference(mine, peer) == ""
    assert len(mine.inputs) == int(STEPS * strength)


def test_the_full_number_of_steps_is_a_longer_schedule_cut(ours: Side, theirs: Side) -> None:
    """ComfyUI's convention through diffusers' pipeline: twice the steps at half the strength."""
    arguments = ("tiny", "ddim", PROMPT)
    mine = ours(*arguments, init_image=PICTURE, strength=0.5, strength_mode="full")
    peer = theirs(StableDiffusionImg2ImgPipeline, *arguments, steps=2 * STEPS, image=PICTURE, strength=0.5)
    assert first_difference(mine, peer) == ""
    assert len(mine.inputs) == STEPS


@pytest.mark.parametrize(
    ("name", "scheduler", "strength"),
    [
        ("tiny", "ddim", 1.0),
        ("tiny", "euler", 0.6),
        ("shapes", "ddim", 0.8),
        ("painter", "ddim", 1.0),
        ("painter", "ddim", 0.6),
    ],
)
def test_both_pipelines_agree_within_a_mask(
    folders: dict[str, Path],
    ours: Side,
    theirs: Side,
    name: str,
    scheduler: str,
    strength: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Networks with four channels by blending; the one with nine takes the mask, and the pipeline does not blend it."""
    if name == "painter":
        monkeypatch.setattr(Blend, "__call__", lambda *given: None)
    if name not in folders:
        pytest.skip("the shipped model has no weights yet")
    arguments = (name, scheduler, PROMPT)
    mine = ours(*arguments, init_image=PICTURE, mask=MASK, strength=strength)
    options = {"image": PICTURE, "mask_image": MASK, "strength": strength}
    assert first_difference(mine, theirs(StableDiffusionInpaintPipeline, *arguments, **options)) == ""
    assert mine.inputs[0].shape[1] == (9 if name == "painter" else 4)


def test_the_comparison_would_notice(ours: Side, theirs: Side) -> None:
    """Pictures, masks and strengths are seen in the result, at the stage where they come in."""
    tiny, changed = ("tiny", "ddim", PROMPT), PICTURE.copy()
    changed.paste("red", (0, 0, 20, 20))
    options = {"image": PICTURE, "mask_image": MASK, "strength": 0.6}
    peer = theirs(StableDiffusionInpaintPipeline, *tiny, **options)

    def apart(**given: Any) -> str:
        return first_difference(ours(*tiny, **{"init_image": PICTURE, "mask": MASK, "strength": 0.6} | given), peer)

    assert apart(init_image=changed).startswith("initial latents")
    assert apart(strength=0.7).startswith("times")
    assert apart(mask=None).startswith("latents after 1 steps")
    assert apart(mask=MASK.transpose(0)).startswith("latents after 1 steps")
