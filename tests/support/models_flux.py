"""A FLUX.1 folder of random weights, small enough to be made in a second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from support.parts import autoencoder, clip, t5

Kind = Literal["dev", "schnell", "fill", "canny"]
CLIP_WIDTH, T5_WIDTH = 32, 48
FACTOR = 4
CHANNELS: Mapping[Kind, int] = {"dev": 64, "schnell": 64, "fill": 64 + 64 + 4 * FACTOR**2, "canny": 128}
PIPELINES: Mapping[Kind, str] = {"fill": "FluxFillPipeline", "canny": "FluxControlPipeline"}
SHIFTS: Mapping[Kind, Mapping[str, Any]] = {
    "dev": {"shift": 3.0, "use_dynamic_shifting": True},
    "schnell": {"shift": 1.0, "use_dynamic_shifting": False},
    "fill": {"shift": 3.0, "use_dynamic_shifting": True},
    "canny": {"shift": 3.0, "use_dynamic_shifting": True},
}


def write_flux(folder: Path, kind: Kind = "dev", *, seed: int = 0, **transformer: Any) -> Path:
    """Write the whole folder in diffusers' layout and give its path.

    Args:
        folder: to be made.
        kind: which of the networks.
        seed: of the weights.
        transformer: further settings of the transformer's ``config.json``.
    """
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel

    from latentry_shapes.encoders import clip_tokenizer, t5_tokenizer

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        words, spell = clip_tokenizer(), t5_tokenizer()
        settings: dict[str, Any] = {
            "in_channels": CHANNELS[kind],
            "out_channels": 64 if kind in PIPELINES else None,
            "num_layers": 2,
            "num_single_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 4,
            "joint_attention_dim": T5_WIDTH,
            "pooled_projection_dim": CLIP_WIDTH,
            "guidance_embeds": kind != "schnell",
            "axes_dims_rope": (4, 6, 6),
        }
        networks: dict[str, Any] = {
            "transformer": FluxTransformer2DModel(**(settings | transformer)),
            "vae": autoencoder(scaling_factor=0.3611, shift_factor=0.1159),
            "text_encoder": clip(len(words), width=CLIP_WIDTH, projected=False),
            "text_encoder_2": t5(len(spell), width=T5_WIDTH),
        }
    for name, network in networks.items():
        network.save_pretrained(folder / name)
    words.save_pretrained(folder / "tokenizer")
    spell.save_pretrained(folder / "tokenizer_2")
    FlowMatchEulerDiscreteScheduler(**SHIFTS[kind]).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(index(kind), indent=2))
    return folder


def index(kind: Kind = "dev") -> dict[str, Any]:
    """What ``model_index.json`` holds."""
    return {
        "_class_name": PIPELINES.get(kind, "FluxPipeline"),
        "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
