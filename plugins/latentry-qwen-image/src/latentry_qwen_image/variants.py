"""The published network configurations, and the networks they describe.

From the ``config.json`` and ``scheduler_config.json`` files of Qwen-Image and Qwen-Image-Edit, which differ in what the
text encoder sees and, from edition 2511 on, in ``zero_cond_t``, which changes no tensor. Keys that are absent have the
defaults of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.bundle.published import QWEN25_VL_7B, QWEN25_VL_7B_SEEING, Config

TRANSFORMER: Config = {
    "patch_size": 2,
    "in_channels": 64,
    "out_channels": 16,
    "num_layers": 60,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 3584,
    "guidance_embeds": False,
    "axes_dims_rope": (16, 56, 56),
}

VAE: Config = {
    "base_dim": 96,
    "z_dim": 16,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],
}

SCHEDULER: Config = {
    "num_train_timesteps": 1000,
    "shift": 1.0,
    "use_dynamic_shifting": True,
    "time_shift_type": "exponential",
    "base_shift": 0.5,
    "max_shift": 0.9,
    "base_image_seq_len": 256,
    "max_image_seq_len": 8192,
    "shift_terminal": 0.02,
}

SIZES: Mapping[str, int] = {"image": 1328, "edit": 1024, "edit-plus": 1024}
"""Height and width in pixels of the training pictures, by variant."""

PARAMETERS: Mapping[str, int] = dict.fromkeys(SIZES, 20_430_401_088)
"""Number of values in the tensors of the transformer, by variant."""


def published(variant: str) -> dict[str, Config]:
    """A variant's configurations by part, ``scheduler`` included."""
    encoder = QWEN25_VL_7B if variant == "image" else QWEN25_VL_7B_SEEING
    return {"transformer": TRANSFORMER, "vae": VAE, "text_encoder": encoder, "scheduler": SCHEDULER}


def build(variant: str) -> dict[str, Any]:
    """A variant's networks at full size by part, untrained, on torch's default device (``meta`` takes no memory)."""
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel
    from transformers.models.qwen2_5_vl import Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel

    if variant == "image":
        encoder: Any = Qwen2_5_VLTextModel(Qwen2_5_VLTextConfig(**QWEN25_VL_7B))
    else:
        encoder = Qwen2_5_VLModel(Qwen2_5_VLConfig(**QWEN25_VL_7B_SEEING))
    return {
        "transformer": QwenImageTransformer2DModel(**TRANSFORMER),
        "vae": AutoencoderKLQwenImage(**VAE),
        "text_encoder": encoder,
    }
