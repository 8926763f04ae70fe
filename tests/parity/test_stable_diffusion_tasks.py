"""Image to image and inpainting through diffusers' own pipelines and through ours, from the same noise.

diffusers draws its noise, and a sample of the autoencoder's posterior, inside the pipelines: here it draws the same
noise, from the seed, and takes the posterior's mode, as ours does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from support import overheard
from support.models import PROMPT, write_stable_diffusion
from support.overheard import Overheard, drawing, modes, parting
from torch import Tensor

STEPS, GUIDANCE, SEED = 20, 5.0, 11
OTHER = "a green star on a white background"
PICTURE, MASK = drawing()
SCHEDULERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddim": (None, {"scheduler": "ddim"}),
    "euler": (EulerDiscreteScheduler, {"scheduler": "euler", "sigmas": "leading", "final": "zero"}),
}


@pytest.fixture(scope="module")
def folders(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The models of all parity tests, and an inpainting network."""
    painter = write_stable_diffusion(tmp_path_factory.mktemp("models") / "painter", inpainting=True, seed=5)
    return {**models, "painter": painter}


def theirs(kind: Any, folder: Path, scheduler: str, *prompts: str, **options: Any) -> Overheard:
    """diffusers' side."""
    with modes():
        return overheard.theirs(
            kind,
            folder,
            prompts,
            scheduler=SCHEDULERS[scheduler][0],
            generator=torch.Generator().manual_seed(SEED),
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            **options,
        )


def ours(folder: Path, scheduler: str, *prompts: str, **settings: Any) -> Overheard:
    """Latentry's side."""
    noise: Tensor = torch.randn((len(prompts), 4, 16, 16), generator=torch.Generator().manual_seed(SEED))
    chosen = {"steps": STEPS, "guidance": GUIDANCE, **SCHEDULERS[scheduler][1], **settings}
    return overheard.ours(folder, prompts, noise, **chosen)


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
    folders: dict[str, Path], name: str, scheduler: str, strength: float
) -> None:
    if name not in folders:
        pytest.skip("the shipped model has no weights yet")
    arguments: Any = (folders[name], scheduler, PROMPT, OTHER)
    mine = ours(*arguments, init_image=PICTURE, strength=strength)
    peer = theirs(StableDiffusionImg2ImgPipeline, *arguments, image=[PICTURE] * 2, strength=strength)
    assert parting(mine, peer) == ""
    assert len(mine.inputs) == int(STEPS * strength)


def test_the_full_number_of_steps_is_a_longer_schedule_cut(folders: dict[str, Path]) -> None:
    """ComfyUI's convention through diffusers' pipeline: twice the steps at half the strength."""
    arguments: Any = (folders["tiny"], "ddim", PROMPT)
    mine = ours(*arguments, init_image=PICTURE, strength=0.5, strength_mode="full")
    with modes():
        peer = overheard.theirs(
            StableDiffusionImg2ImgPipeline,
            folders["tiny"],
            (PROMPT,),
            generator=torch.Generator().manual_seed(SEED),
            num_inference_steps=2 * STEPS,
            guidance_scale=GUIDANCE,
            image=PICTURE,
            strength=0.5,
        )
    assert parting(mine, peer) == ""
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
    folders: dict[str, Path], name: str, scheduler: str, strength: float
) -> None:
    """Networks with four channels by blending, the one with nine by what it is shown, which is part of its input."""
    if name not in folders:
        pytest.skip("the shipped model has no weights yet")
    arguments: Any = (folders[name], scheduler, PROMPT)
    mine = ours(*arguments, init_image=PICTURE, mask=MASK, strength=strength)
    options = {"image": PICTURE, "mask_image": MASK, "strength": strength}
    assert parting(mine, theirs(StableDiffusionInpaintPipeline, *arguments, **options)) == ""
    assert mine.inputs[0].shape[1] == (9 if name == "painter" else 4)


def test_the_comparison_would_notice(folders: dict[str, Path]) -> None:
    """Pictures, masks and strengths are seen in the result, at the stage where they come in."""
    tiny, changed = (folders["tiny"], "ddim", PROMPT), PICTURE.copy()
    changed.paste("red", (0, 0, 20, 20))
    options = {"image": PICTURE, "mask_image": MASK, "strength": 0.6}
    peer = theirs(StableDiffusionInpaintPipeline, *tiny, **options)

    def apart(**given: Any) -> str:
        return parting(ours(*tiny, **{"init_image": PICTURE, "mask": MASK, "strength": 0.6} | given), peer)

    assert apart(init_image=changed).startswith("initial latents")
    assert apart(strength=0.7).startswith("times")
    assert apart(mask=None).startswith("latents after 1 steps")
    assert apart(mask=MASK.transpose(0)).startswith("latents after 1 steps")
