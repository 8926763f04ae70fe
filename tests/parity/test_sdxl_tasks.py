"""Stable Diffusion XL from a picture: diffusers' pipelines and ours, stage by stage.

diffusers draws its noise inside the pipelines: here from a generator whose seed ours begins from, too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline
from support import both_pipelines
from support.both_pipelines import SCHEDULERS, Peers, draw, drawing, seeded
from support.models import PROMPT
from support.models_sdxl import Kind, write_stable_diffusion_xl
from support.recording import Recording, first_difference

from latentry import Engine, GenerationRequest, IncompatibleError
from latentry._generate._batch._start import Blend

pytestmark = pytest.mark.slow

STEPS, GUIDANCE = 20, 5.0
OTHER = "a green star on a white background"
PICTURE, MASK = drawing()
Side = Callable[..., Recording]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    models = tmp_path_factory.mktemp("sdxl")
    kinds: tuple[Kind, ...] = ("base", "refiner", "inpainting")
    return {kind: write_stable_diffusion_xl(models / kind, kind) for kind in kinds}


@pytest.fixture
def theirs(folders: dict[Kind, Path], peers: Peers) -> Side:
    """diffusers' side."""

    def side(pipeline: Any, kind: Kind, scheduler: str, *prompts: str, **options: Any) -> Recording:
        given = {"generator": seeded(), "num_inference_steps": STEPS, "guidance_scale": GUIDANCE}
        return both_pipelines.theirs(peers(folders[kind], pipeline, scheduler), prompts, **given, **options)

    return side


@pytest.fixture
def ours(folders: dict[Kind, Path], engine: Engine) -> Side:
    """Latentry's side."""

    def side(kind: Kind, scheduler: str, *prompts: str, **settings: Any) -> Recording:
        chosen = {"steps": STEPS, "guidance": GUIDANCE, **SCHEDULERS[scheduler], **settings}
        return both_pipelines.ours(engine, folders[kind], prompts, draw(len(prompts)), **chosen)

    return side


@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
@pytest.mark.parametrize("kind", ["base", "refiner"])
def test_image_to_image(ours: Side, theirs: Side, kind: Kind, scheduler: str) -> None:
    mine = ours(kind, scheduler, PROMPT, init_image=PICTURE, strength=0.6)
    peer = theirs(StableDiffusionXLImg2ImgPipeline, kind, scheduler, PROMPT, image=PICTURE, strength=0.6)
    assert first_difference(mine, peer) == ""
    assert len(mine.inputs) == 12
    told = mine.conditioning["time_ids"]
    assert told.tolist() == ([[64, 64, 0, 0, 64, 64]] * 2 if kind == "base" else [[64, 64, 0, 0, s] for s in (2.5, 6)])


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_the_inpainting_network(ours: Side, theirs: Side, strength: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without blending, which the pipeline does for other networks only."""
    monkeypatch.setattr(Blend, "__call__", lambda *given: None)
    arguments = ("inpainting", "euler", PROMPT, OTHER)
    mine = ours(*arguments, init_image=PICTURE, mask=MASK, strength=strength)
    options = {"image": PICTURE, "mask_image": MASK, "strength": strength, "height": 64, "width": 64}
    assert first_difference(mine, theirs(StableDiffusionXLInpaintPipeline, *arguments, **options)) == ""
    assert mine.conditioning["shown"].shape == (4, 5, 16, 16)


@pytest.mark.parametrize("strength", [0.6, 1.0])
@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_inpainting_by_blending(ours: Side, theirs: Side, scheduler: str, strength: float) -> None:
    arguments = ("base", scheduler, PROMPT)
    mine = ours(*arguments, init_image=PICTURE, mask=MASK, strength=strength)
    options = {"image": PICTURE, "mask_image": MASK, "strength": strength, "height": 64, "width": 64}
    assert first_difference(mine, theirs(StableDiffusionXLInpaintPipeline, *arguments, **options)) == ""


def test_turbo_takes_no_guidance(engine: Engine, tmp_path: Path) -> None:
    folder = write_stable_diffusion_xl(tmp_path / "turbo", "turbo")
    with pytest.raises(IncompatibleError, match="turbo cannot be used with a guidance scale of 4"):
        engine.prepare(GenerationRequest(prompt=PROMPT, model=str(folder), guidance=4.0))
    setup = engine.prepare(GenerationRequest(prompt=PROMPT, model=str(folder)))
    assert (setup.request.scheduler, setup.request.sigmas) == (
        "latentry-euler-ancestral:euler-ancestral",
        "latentry:trailing",
    )
    assert [point.timestep for point in setup.plan.points[:-1]] == [999, 749, 499, 249]


def test_each_variant_keeps_to_its_tasks(ours: Side) -> None:
    for kind, pictures in (("refiner", {}), ("inpainting", {}), ("inpainting", {"init_image": PICTURE})):
        with pytest.raises(IncompatibleError, match=f"{kind} cannot be used for"):
            ours(kind, "euler", PROMPT, **pictures)
