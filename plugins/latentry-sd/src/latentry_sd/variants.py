"""The published network configurations of every variant, and the networks they describe.

From the ``config.json`` files of stable-diffusion-v1-5, stable-diffusion-inpainting, stable-diffusion-2-1(-base),
stable-diffusion-2-inpainting and sd-turbo, and their ``scheduler_config.json``; keys that are absent have the defaults
of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.bundle.published import BETAS, CLIP_L, VAE_4, Config

SD15: Config = {
    "sample_size": 64,
    "in_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
    "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
    "attention_head_dim": 8,
    "cross_attention_dim": 768,
}

SD2: Config = {
    **SD15,
    "attention_head_dim": (5, 10, 20, 20),
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
}

UNETS: Mapping[str, Config] = {
    "sd15": SD15,
    "sd15-inpainting": {**SD15, "in_channels": 9},
    "sd21-base": SD2,
    "sd21": {**SD2, "sample_size": 96, "upcast_attention": True},
    "sd2-inpainting": {**SD2, "in_channels": 9},
    "sd-turbo": SD2,
}

OPEN_CLIP_H: Config = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
    "projection_dim": 512,
}
"""The published encoder lacks OpenCLIP's last layer: its states are the penultimate ones."""

VAE: Config = {**VAE_4, "sample_size": 512, "scaling_factor": 0.18215}

SCHEDULERS: Mapping[str, Config] = {
    **dict.fromkeys(UNETS, BETAS),
    "sd21": {**BETAS, "prediction_type": "v_prediction"},
    "sd-turbo": {**BETAS, "timestep_spacing": "trailing"},
}
"""The keys of ``scheduler_config.json`` that the checkpoint needs."""


PARAMETERS: Mapping[str, int] = {
    "sd15": 859_520_964,
    "sd15-inpainting": 859_535_364,
    "sd21-base": 865_910_724,
    "sd21": 865_910_724,
    "sd2-inpainting": 865_925_124,
    "sd-turbo": 865_910_724,
}
"""Number of values in the tensors of the UNet, by variant."""


def published(variant: str) -> dict[str, Config]:
    """A variant's configurations by part, ``scheduler`` included."""
    text = CLIP_L if variant.startswith("sd15") else OPEN_CLIP_H
    return {"unet": UNETS[variant], "vae": VAE, "text_encoder": text, "scheduler": SCHEDULERS[variant]}


def build(variant: str) -> dict[str, Any]:
    """A variant's networks at full size by part, untrained, on torch's default device (``meta`` takes no memory)."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    configs = published(variant)
    return {
        "unet": UNet2DConditionModel(**configs["unet"]),
        "vae": AutoencoderKL(**configs["vae"]),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**configs["text_encoder"])),
    }
