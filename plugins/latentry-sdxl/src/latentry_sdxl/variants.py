"""The published network configurations of every variant, and the networks they describe.

From the ``config.json`` files of stable-diffusion-xl-base-1.0, -refiner-1.0, stable-diffusion-xl-1.0-inpainting-0.1 and
sdxl-turbo, and their ``scheduler_config.json``; keys that are absent have the defaults of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.bundle.published import BETAS, CLIP_G, CLIP_L, VAE_4, Config

BASE: Config = {
    "sample_size": 128,
    "in_channels": 4,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}

REFINER: Config = {
    **BASE,
    "block_out_channels": (384, 768, 1536, 1536),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": 4,
    "attention_head_dim": (6, 12, 24, 24),
    "cross_attention_dim": 1280,
    "projection_class_embeddings_input_dim": 2560,
}

UNETS: Mapping[str, Config] = {
    "base": BASE,
    "refiner": REFINER,
    "inpainting": {**BASE, "in_channels": 9},
    "turbo": {**BASE, "sample_size": 64},
}

VAE: Config = {**VAE_4, "sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True}

SCHEDULERS: Mapping[str, Config] = {**dict.fromkeys(UNETS, BETAS), "turbo": {**BETAS, "timestep_spacing": "trailing"}}
"""The keys of ``scheduler_config.json`` that the checkpoint needs."""


PARAMETERS: Mapping[str, int] = {
    "base": 2_567_463_684,
    "refiner": 2_259_526_660,
    "inpainting": 2_567_478_084,
    "turbo": 2_567_463_684,
}
"""Number of values in the tensors of the UNet, by variant."""


def published(variant: str) -> dict[str, Config]:
    """A variant's configurations by part, ``scheduler`` included."""
    encoders = {"text_encoder": CLIP_L, "text_encoder_2": CLIP_G}
    return {"unet": UNETS[variant], "vae": VAE, "scheduler": SCHEDULERS[variant], **encoders}


def build(variant: str) -> dict[str, Any]:
    """A variant's networks at full size by part, untrained, on torch's default device (``meta`` takes no memory)."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    networks = {
        "unet": UNet2DConditionModel(**UNETS[variant]),
        "vae": AutoencoderKL(**VAE),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**CLIP_L)),
        "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_G)),
    }
    if variant == "refiner":
        del networks["text_encoder"]
    return networks
