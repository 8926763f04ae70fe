"""The published network configurations of every variant, and the networks they describe.

From the ``config.json`` files of stable-diffusion-3-medium and of stable-diffusion-3.5-medium, -large and -large-turbo;
keys that are absent have the defaults of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.bundle.published import CLIP_G, CLIP_L, T5_XXL, VAE_16, Config

MEDIUM: Config = {
    "sample_size": 128,
    "patch_size": 2,
    "in_channels": 16,
    "out_channels": 16,
    "num_layers": 24,
    "attention_head_dim": 64,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "caption_projection_dim": 1536,
    "pooled_projection_dim": 2048,
    "pos_embed_max_size": 192,
}

LARGE: Config = {
    **MEDIUM,
    "num_layers": 38,
    "num_attention_heads": 38,
    "caption_projection_dim": 2432,
    "qk_norm": "rms_norm",
}

TRANSFORMERS: Mapping[str, Config] = {
    "sd35-medium": {
        **MEDIUM,
        "pos_embed_max_size": 384,
        "qk_norm": "rms_norm",
        "dual_attention_layers": tuple(range(13)),
    },
    "sd35-large": LARGE,
    "sd35-large-turbo": LARGE,
    "sd3-medium": MEDIUM,
}

VAE: Config = {**VAE_16, "scaling_factor": 1.5305, "shift_factor": 0.0609}

SCHEDULER: Config = {"num_train_timesteps": 1000, "shift": 3.0}
"""What every variant's ``scheduler_config.json`` says."""


PARAMETERS: Mapping[str, int] = {
    "sd35-medium": 2_469_663_936,
    "sd35-large": 8_146_280_768,
    "sd35-large-turbo": 8_146_280_768,
    "sd3-medium": 2_084_951_104,
}
"""Number of values in the tensors of the transformer, by variant, the table of positions included."""


def published(variant: str) -> dict[str, Config]:
    """A variant's configurations by part, ``scheduler`` included."""
    encoders = {"text_encoder": CLIP_L, "text_encoder_2": CLIP_G, "text_encoder_3": T5_XXL}
    return {"transformer": TRANSFORMERS[variant], "vae": VAE, "scheduler": SCHEDULER, **encoders}


def build(variant: str) -> dict[str, Any]:
    """A variant's networks at full size by part, untrained, on torch's default device (``meta`` takes no memory)."""
    from diffusers import AutoencoderKL, SD3Transformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel

    return {
        "transformer": SD3Transformer2DModel(**TRANSFORMERS[variant]),
        "vae": AutoencoderKL(**VAE),
        "text_encoder": CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_L)),
        "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_G)),
        "text_encoder_3": T5EncoderModel(T5Config(**T5_XXL)),
    }
