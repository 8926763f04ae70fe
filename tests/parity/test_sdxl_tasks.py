"""Stable Diffusion XL from a picture: diffusers' pipelines and ours, stage by stage.

Both sides begin from the same noise and the mode of the autoencoder's posterior; diffusers draws a sample of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline
from PIL import Image
from support.models import PROMPT
from support.models_sdxl import Kind, write_stable_diffusion_xl
from support.sdxl_runs import draw, ours, pipeline, theirs
from support.stages import parting

from latentry import Engine, GenerationRequest, IncompatibleError, PluginHost

OTHER = "a green star on a white background"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    models, kinds = tmp_path_factory.mktemp("sdxl"), ("base", "refiner", "inpainting")
    return {kind: write_stable_diffusion_xl(models / kind, kind) for kind in kinds}


@pytest.fixture(scope="module")
def image() -> Image.Image:
    levels = torch.randint(0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    return Image.fromarray(levels.numpy())


@pytest.fixture(scope="module")
def mask() -> Image.Image:
    white = Image.new("L", (64, 64))
    white.paste(255, (13, 22, 50, 64))
    return white


@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
@pytest.mark.parametrize("kind", ["base", "refiner"])
def test_image_to_image(
    engine: Engine, folders: dict[Kind, Path], image: Image.Image, kind: Kind, scheduler: str
) -> None:
    given: dict[str, Any] = {"guidance": 5.0, "strength": 0.6}
    mine = ours(engine, folders[kind], scheduler, (PROMPT,), draw(), pictures={"init_image": image}, **given)
    peer = pipeline(StableDiffusionXLImg2ImgPipeline, folders[kind], scheduler)
    assert parting(mine, theirs(peer, (PROMPT,), draw(), image=image, strength=0.6, guidance_scale=5.0)) == ""
    assert len(mine.inputs) == 12
    told = mine.told["time_ids of UNet 0"]
    assert told.tolist() == ([[64, 64, 0, 0, 64, 64]] * 2 if kind == "base" else [[64, 64, 0, 0, s] for s in (2.5, 6)])


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_the_inpainting_network(
    engine: Engine, folders: dict[Kind, Path], image: Image.Image, mask: Image.Image, strength: float
) -> None:
    pictures = {"init_image": image, "mask": mask}
    prompts, given = (PROMPT, OTHER), {"guidance": 5.0, "strength": strength}
    mine = ours(engine, folders["inpainting"], "euler", prompts, draw(2), pictures=pictures, **given)
    peer = pipeline(StableDiffusionXLInpaintPipeline, folders["inpainting"], "euler")
    options = {"image": image, "mask_image": mask, "strength": strength, "guidance_scale": 5.0}
    assert parting(mine, theirs(peer, prompts, draw(2), **options, height=64, width=64)) == ""
    assert mine.told["shown of UNet 0"].shape == (4, 5, 16, 16)


@pytest.mark.parametrize("strength", [0.6, 1.0])
@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_inpainting_by_blending(
    engine: Engine,
    folders: dict[Kind, Path],
    image: Image.Image,
    mask: Image.Image,
    scheduler: str,
    strength: float,
) -> None:
    pictures, given = {"init_image": image, "mask": mask}, {"guidance": 5.0, "strength": strength}
    mine = ours(engine, folders["base"], scheduler, (PROMPT,), draw(), pictures=pictures, **given)
    peer = pipeline(StableDiffusionXLInpaintPipeline, folders["base"], scheduler)
    options = {"image": image, "mask_image": mask, "strength": strength, "guidance_scale": 5.0}
    assert parting(mine, theirs(peer, (PROMPT,), draw(), **options, height=64, width=64)) == ""


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


def test_each_variant_keeps_to_its_tasks(engine: Engine, folders: dict[Kind, Path], image: Image.Image) -> None:
    for kind, pictures in (("refiner", {}), ("inpainting", {}), ("inpainting", {"init_image": image})):
        with pytest.raises(IncompatibleError, match=f"{kind} cannot be used for"):
            ours(engine, folders[kind], "euler", (PROMPT,), draw(), pictures=pictures)
