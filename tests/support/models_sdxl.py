"""A Stable Diffusion XL folder of random weights, small enough to be made in a second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from support.parts import autoencoder, clip

Kind = Literal["base", "refiner", "inpainting", "turbo"]
WIDTHS = (32, 48)
"""Of CLIP-L and CLIP-G."""
SCHEDULERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "leading": ("EulerDiscreteScheduler", {"timestep_spacing": "leading", "steps_offset": 1}),
    "turbo": ("EulerAncestralDiscreteScheduler", {"timestep_spacing": "trailing", "steps_offset": 1}),
}
PIPELINES: Mapping[Kind, str] = {
    "base": "StableDiffusionXLPipeline",
    "refiner": "StableDiffusionXLImg2ImgPipeline",
    "inpainting": "StableDiffusionXLInpaintPipeline",
    "turbo": "StableDiffusionXLPipeline",
}


def write_stable_diffusion_xl(folder: Path, kind: Kind = "base", *, seed: int = 0, **unet: Any) -> Path:
    """Write the whole folder in diffusers' layout and give its path.

    Args:
        folder: to be made.
        kind: which variant; the refiner's text encoder has the weights of base's second one.
        seed: of the weights.
        unet: further settings of the UNet's ``config.json``.
    """
    import diffusers
    import torch

    from latentry_shapes.networks import tokenizer

    refiner = kind == "refiner"
    settings: dict[str, Any] = {
        "sample_size": 16,
        "in_channels": 9 if kind == "inpainting" else 4,
        "out_channels": 4,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2),
        "attention_head_dim": (2, 4),
        "norm_num_groups": 8,
        "use_linear_projection": True,
        "cross_attention_dim": WIDTHS[1] if refiner else sum(WIDTHS),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": (5 if refiner else 6) * 8 + WIDTHS[1],
    }
    words = tokenizer()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1234)
        networks: dict[str, Any] = {
            "vae": autoencoder(
                latent_channels=4, use_quant_conv=True, use_post_quant_conv=True, scaling_factor=0.13025
            ),
            "text_encoder_2": clip(len(words), width=WIDTHS[1], projected=True, hidden_act="gelu"),
        }
        torch.manual_seed(seed)
        networks["unet"] = diffusers.UNet2DConditionModel(**(settings | unet))
        if not refiner:
            networks["text_encoder"] = clip(len(words), width=WIDTHS[0], projected=False)
    for name, network in networks.items():
        network.save_pretrained(folder / name)
    for name in ("tokenizer", "tokenizer_2")[refiner:]:
        words.save_pretrained(folder / name)
    scheduler, options = SCHEDULERS["turbo" if kind == "turbo" else "leading"]
    noise = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    getattr(diffusers, scheduler)(**noise, **options).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(index(kind), indent=2))
    return folder


def index(kind: Kind) -> dict[str, Any]:
    """``model_index.json`` as it was published."""
    first = kind != "refiner"
    absent = (None, None)
    content: dict[str, Any] = {
        "_class_name": PIPELINES[kind],
        "_diffusers_version": "0.42.1",
        "force_zeros_for_empty_prompt": first,
        "scheduler": ("diffusers", SCHEDULERS["turbo" if kind == "turbo" else "leading"][0]),
        "text_encoder": ("transformers", "CLIPTextModel") if first else absent,
        "text_encoder_2": ("transformers", "CLIPTextModelWithProjection"),
        "tokenizer": ("transformers", "CLIPTokenizer") if first else absent,
        "tokenizer_2": ("transformers", "CLIPTokenizer"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("diffusers", "AutoencoderKL"),
    }
    return content | ({} if kind in ("base", "turbo") else {"requires_aesthetics_score": kind == "refiner"})
