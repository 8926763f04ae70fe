"""A Z-Image folder of random weights, small enough to be made in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from support.parts import autoencoder, qwen3

Kind = Literal["turbo", "base"]
WIDTH = 48
"""Of the text encoder's states."""
SHIFTS: dict[Kind, float] = {"turbo": 3.0, "base": 6.0}


def write_z_image(folder: Path, kind: Kind = "turbo", *, seed: int = 0, **transformer: Any) -> Path:
    """Write the whole folder in diffusers' layout and give its path.

    Args:
        folder: to be made.
        kind: whose time shift.
        seed: of the weights.
        transformer: further settings of the transformer's ``config.json``.
    """
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImageTransformer2DModel

    from latentry_shapes.encoders import qwen_tokenizer

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        words = qwen_tokenizer()
        settings: dict[str, Any] = {
            "in_channels": 16,
            "dim": 64,
            "n_layers": 2,
            "n_refiner_layers": 1,
            "n_heads": 4,
            "n_kv_heads": 4,
            "cap_feat_dim": WIDTH,
            "axes_dims": (4, 6, 6),
            "axes_lens": (1024, 64, 64),
        }
        networks: dict[str, Any] = {
            "transformer": ZImageTransformer2DModel(**(settings | transformer)),
            "vae": autoencoder(scaling_factor=0.3611, shift_factor=0.1159),
            "text_encoder": qwen3(len(words), width=WIDTH),
        }
        for token in ("x_pad_token", "cap_pad_token"):  # zeros until they are trained
            torch.nn.init.normal_(getattr(networks["transformer"], token))
    for name, network in networks.items():
        network.save_pretrained(folder / name)
    words.save_pretrained(folder / "tokenizer")
    FlowMatchEulerDiscreteScheduler(shift=SHIFTS[kind]).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(index(), indent=2))
    return folder


def index() -> dict[str, Any]:
    """What ``model_index.json`` holds."""
    return {
        "_class_name": "ZImagePipeline",
        "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen3Model"],
        "tokenizer": ["transformers", "Qwen2Tokenizer"],
        "transformer": ["diffusers", "ZImageTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
