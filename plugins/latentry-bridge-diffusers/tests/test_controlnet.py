"""Pipelines with a ControlNet: the shipped model with an untrained one, whose outputs are made to count."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from diffusers import ControlNetModel, DDIMScheduler, StableDiffusionControlNetImg2ImgPipeline
from PIL import Image

from latentry_bridge_diffusers import scheduler


def _pipeline(base: Any, cls: Any) -> Any:
    controlnet = ControlNetModel.from_unet(base.unet, conditioning_embedding_out_channels=(16, 32, 96))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weights in controlnet.named_parameters():
            if "controlnet_down_blocks" in name or "controlnet_mid_block" in name:  # zero convolutions
                weights.copy_(0.05 * torch.randn(weights.shape, generator=generator))
    parts = dict(base.components) | {"controlnet": controlnet, "safety_checker": None, "feature_extractor": None}
    made = cls(**{k: v for k, v in parts.items() if k != "image_encoder"}, requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made


def _latents(pipe: Any, **more: Any) -> torch.Tensor:
    picture = Image.new("RGB", (64, 64), "green")
    given = {"control_image": picture, "image": picture, "strength": 0.6} if more.pop("late") else {"image": picture}
    latents: torch.Tensor = pipe(
        "a red circle",
        num_inference_steps=5,
        guidance_scale=3.0,
        height=64,
        width=64,
        output_type="latent",
        generator=torch.Generator().manual_seed(7),
        **given,
    ).images
    return latents


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["text to image", "image to image"])
def test_latents_with_a_controlnet_are_the_stock_schedulers(pipeline: Any, late: bool) -> None:
    base = pipeline("shapes")
    cls = StableDiffusionControlNetImg2ImgPipeline if late else diffusers.StableDiffusionControlNetPipeline
    pipe = _pipeline(base, cls)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
    expected = _latents(pipe, late=late)
    pipe.scheduler = scheduler("ddim", pipe, sigmas="stock")
    got = _latents(pipe, late=late)
    assert torch.allclose(got, expected, atol=1e-3), (got - expected).abs().max()
    for name in ("unipc", "heun", "euler-ancestral"):
        pipe.scheduler = scheduler(name, pipe)
        assert _latents(pipe, late=late).isfinite().all()
