"""The published network configurations of every variant, and the networks they describe.

From the ``config.json`` and ``scheduler_config.json`` files of FLUX.1-dev, FLUX.1-schnell, FLUX.1-Fill-dev,
FLUX.1-Canny-dev and FLUX.1-Depth-dev; keys that are absent have the defaults of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.bundle.published import CLIP_L, FLUX_VAE, T5_XXL, Config

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

CONTROLLED = ("canny", "depth")
"""Variants whose transformers also take a picture's latents. Their configurations are the same."""
_SHOWN: Config = {**DEV, "in_channels": 128, "out_channels": 64}

TRANSFORMERS: Mapping[str, Config] = {
    "dev": DEV,
    "schnell": {**DEV, "guidance_embeds": False},
    "fill": {**DEV, "in_channels": 384, "out_channels": 64},
    **dict.fromkeys(CONTROLLED, _SHOWN),
}

VAE = FLUX_VAE

DYNAMIC: Config = {
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
}

SCHEDULERS: Mapping[str, Config] = {
    "dev": DYNAMIC,
    "schnell": {**DYNAMIC, "shift": 1.0, "use_dynamic_shifting": False},
    "fill": DYNAMIC,
    **dict.fromkeys(CONTROLLED, DYNAMIC),
}


PARAMETERS: Mapping[str, int] = {
    "dev": 11_901_408_320,
    "schnell": 11_891_178_560,
    "fill": 11_902_391_360,
    **dict.fromkeys(CONTROLLED, 11_901_604_928),
}
"""Number of values in the tensors of the transformer, by variant."""


def published(variant: str) -> dict[str, Config]:
    """A variant's configurations by part, ``scheduler`` included."""
    encoders = {"text_encoder": CLIP_L, "text_encoder_2": T5_XXL}
    return {"transformer": TRANSFORMERS[variant], "vae": VAE, "scheduler": SCHEDULERS[variant], **encoders}


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
