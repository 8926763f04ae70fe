"""The published network configurations of every variant, and the networks they describe.

From the ``config.json`` and ``scheduler_config.json`` files of Z-Image and Z-Image-Turbo, which differ in the time
shift alone; keys that are absent have the defaults of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.bundle.published import FLUX_VAE, QWEN3_4B, Config

TRANSFORMER: Config = {
    "all_patch_size": (2,),
    "all_f_patch_size": (1,),
    "in_channels": 16,
    "dim": 3840,
    "n_layers": 30,
    "n_refiner_layers": 2,
    "n_heads": 30,
    "n_kv_heads": 30,
    "qk_norm": True,
    "cap_feat_dim": 2560,
    "axes_dims": (32, 48, 48),
    "axes_lens": (1536, 512, 512),
}

SHIFTS: Mapping[str, float] = {"turbo": 3.0, "base": 6.0}

PARAMETERS: Mapping[str, int] = dict.fromkeys(SHIFTS, 6_154_908_736)
"""Number of values in the tensors of the transformer, by variant."""


def published(variant: str) -> dict[str, Config]:
    """A variant's configurations by part, ``scheduler`` included."""
    scheduler = {"num_train_timesteps": 1000, "shift": SHIFTS[variant], "use_dynamic_shifting": False}
    return {"transformer": TRANSFORMER, "vae": FLUX_VAE, "text_encoder": QWEN3_4B, "scheduler": scheduler}


def build(variant: str) -> dict[str, Any]:
    """A variant's networks at full size by part, untrained, on torch's default device (``meta`` takes no memory)."""
    from diffusers import AutoencoderKL, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    return {
        "transformer": ZImageTransformer2DModel(**TRANSFORMER),
        "vae": AutoencoderKL(**FLUX_VAE),
        "text_encoder": Qwen3Model(Qwen3Config(**QWEN3_4B)),
    }
