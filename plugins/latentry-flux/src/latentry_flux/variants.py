"""The published network configurations of every variant, and the networks they describe.

From the ``config.json`` files of FLUX.1-dev, FLUX.1-schnell and FLUX.1-Fill-dev; keys that are absent have the
defaults of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.published import CLIP_L, T5_XXL, VAE_16, Config

DEV: Config = {
    "patch_size": 1,
    "in_channels": 64,
    "num_layers": 19,
    "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "guidance_embeds": True,
    "axes_dims_rope": (16, 56, 56),
}

TRANSFORMERS: Mapping[str, Config] = {
    "dev": DEV,
    "schnell": {**DEV, "guidance_embeds": False},
    "fill": {**DEV, "in_channels": 384, "out_channels": 64},
}

VAE: Config = {**VAE_16, "scaling_factor": 0.3611, "shift_factor": 0.1159}


def build(variant: str) -> dict[str, Any]:
    """A variant's networks at full size by part, untrained, on torch's default device (``meta`` takes no memory)."""
    from diffusers import AutoencoderKL, FluxTransformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    return {
        "transformer": FluxTransformer2DModel(**TRANSFORMERS[variant]),
        "vae": AutoencoderKL(**VAE),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**CLIP_L)),
        "text_encoder_2": T5EncoderModel(T5Config(**T5_XXL)),
    }
