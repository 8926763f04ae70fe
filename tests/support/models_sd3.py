"""A Stable Diffusion 3 folder of random weights, small enough to be made in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.parts import autoencoder, clip, t5

WIDTHS = (32, 48)
"""Of CLIP-L and CLIP-G."""
T5_WIDTH = 96


def write_stable_diffusion_3(folder: Path, *, with_t5: bool = True, seed: int = 0, **transformer: Any) -> Path:
    """Write the whole folder in diffusers' layout and give its path.

    Args:
        folder: to be made.
        with_t5: whether there is a third text encoder.
        seed: of the weights.
        transformer: further settings of the transformer's ``config.json``.
    """
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel

    from latentry_shapes.encoders import clip_tokenizer, t5_tokenizer

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        words, spell = clip_tokenizer(), t5_tokenizer()
        settings: dict[str, Any] = {
            "sample_size": 16,
            "patch_size": 2,
            "in_channels": 16,
            "num_layers": 3,
            "attention_head_dim": 16,
            "num_attention_heads": 4,
            "joint_attention_dim": T5_WIDTH,
            "caption_projection_dim": 64,
            "pooled_projection_dim": sum(WIDTHS),
            "pos_embed_max_size": 16,
            "dual_attention_layers": (0,),
            "qk_norm": "rms_norm",
        }
        networks: dict[str, Any] = {
            "transformer": SD3Transformer2DModel(**(settings | transformer)),
            "vae": autoencoder(scaling_factor=1.5305, shift_factor=0.0609),
            "text_encoder": clip(len(words), width=WIDTHS[0], projected=True),
            "text_encoder_2": clip(len(words), width=WIDTHS[1], projected=True, hidden_act="gelu"),
        }
        if with_t5:
            networks["text_encoder_3"] = t5(len(spell), width=T5_WIDTH)
    for name, network in networks.items():
        network.save_pretrained(folder / name)
    words.save_pretrained(folder / "tokenizer")
    words.save_pretrained(folder / "tokenizer_2")
    if with_t5:
        spell.save_pretrained(folder / "tokenizer_3")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(index(with_t5), indent=2))
    return folder


def index(with_t5: bool = True) -> dict[str, Any]:
    """What ``model_index.json`` holds."""
    return {
        "_class_name": "StableDiffusion3Pipeline",
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_3": ["transformers", "T5EncoderModel"] if with_t5 else [None, None],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "tokenizer_3": ["transformers", "T5Tokenizer"] if with_t5 else [None, None],
        "transformer": ["diffusers", "SD3Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
