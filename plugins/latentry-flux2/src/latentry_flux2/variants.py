"""The published network configurations of every variant, and the networks they describe.

From the ``config.json`` and ``scheduler_config.json`` files of FLUX.2-dev and the four of FLUX.2-klein; keys that are
absent have the defaults of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.bundle.published import MISTRAL_SMALL, QWEN3_4B, QWEN3_8B, VAE_4, Config

DEV: Config = {
    "patch_size": 1,
    "in_channels": 128,
    "num_layers": 8,
    "num_single_layers": 48,
    "attention_head_dim": 128,
    "num_attention_heads": 48,
    "joint_attention_dim": 15360,
    "guidance_embeds": True,
}
KLEIN_4B: Config = {
    **DEV,
    "num_layers": 5,
    "num_single_layers": 20,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
    "guidance_embeds": False,
}
KLEIN_9B: Config = {
    **KLEIN_4B,
    "num_layers": 8,
    "num_single_layers": 24,
    "num_attention_heads": 32,
    "joint_attention_dim": 12288,
}

TRANSFORMERS: Mapping[str, Config] = {
    "dev": DEV,
    "klein-4b": KLEIN_4B,
    "klein-base-4b": KLEIN_4B,
    "klein-9b": KLEIN_9B,
    "klein-base-9b": KLEIN_9B,
}

VAE: Config = {**VAE_4, "latent_channels": 32, "sample_size": 1024}

SCHEDULER: Config = {
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
    "time_shift_type": "exponential",
}

LAYERS: Mapping[str, tuple[int, ...]] = {"mistral": (10, 20, 30), "qwen3": (9, 18, 27)}
"""The hidden states of the text encoder that the transformer attends to, side by side, by its ``model_type``."""

STEPS: Mapping[str, int] = {"dev": 50, "klein-4b": 4, "klein-9b": 4, "klein-base-4b": 50, "klein-base-9b": 50}

PARAMETERS: Mapping[str, int] = {
    "dev": 32_223_281_152,
    **dict.fromkeys(("klein-4b", "klein-base-4b"), 3_875_544_576),
    **dict.fromkeys(("klein-9b", "klein-base-9b"), 9_078_581_248),
}
"""Number of values in the tensors of the transformer, by variant."""


def encoder(variant: str) -> Config:
    """Configuration of a variant's text encoder."""
    return MISTRAL_SMALL if variant == "dev" else QWEN3_4B if variant.endswith("4b") else QWEN3_8B


def published(variant: str) -> dict[str, Config]:
    """A variant's configurations by part, ``scheduler`` included."""
    text = encoder(variant)
    return {"transformer": TRANSFORMERS[variant], "vae": VAE, "text_encoder": text, "scheduler": SCHEDULER}


def build(variant: str) -> dict[str, Any]:
    """A variant's networks at full size by part, untrained, on torch's default device (``meta`` takes no memory)."""
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
    from transformers import MistralConfig, MistralModel, Qwen3Config, Qwen3Model

    config, text = encoder(variant), {"mistral": (MistralModel, MistralConfig), "qwen3": (Qwen3Model, Qwen3Config)}
    network, settings = text[config["model_type"]]
    return {
        "transformer": Flux2Transformer2DModel(**TRANSFORMERS[variant]),
        "vae": AutoencoderKLFlux2(**VAE),
        "text_encoder": network(settings(**config)),
    }
