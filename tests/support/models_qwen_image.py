"""A Qwen-Image folder of random weights, small enough to be made in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.parts import qwen25_vl, seeing_tokenizer

WIDTH = 48
"""Of the text encoder's states."""


def write_qwen_image(
    folder: Path, *, kind: str = "image", seed: int = 0, terminal: float | None = 0.02, **transformer: Any
) -> Path:
    """Write the whole folder in diffusers' layout and give its path.

    Args:
        folder: to be made.
        kind: the variant, a key of ``PIPELINES``.
        seed: of the weights.
        terminal: time at which the grid ends.
        transformer: further settings of the transformer's ``config.json``.
    """
    import torch
    from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        words = seeing_tokenizer()
        settings: dict[str, Any] = {
            "in_channels": 32,
            "out_channels": 8,
            "num_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 4,
            "joint_attention_dim": WIDTH,
            "axes_dims_rope": (4, 6, 6),
        }
        networks: dict[str, Any] = {
            "transformer": QwenImageTransformer2DModel(**(settings | transformer)),
            "vae": AutoencoderKLQwenImage(
                base_dim=8,
                z_dim=8,
                dim_mult=[1, 2, 2],
                num_res_blocks=1,
                temperal_downsample=[False, True],
                latents_mean=[0.1 * number for number in range(8)],
                latents_std=[1.0 + 0.1 * number for number in range(8)],
            ),
            "text_encoder": qwen25_vl(words, width=WIDTH),
        }
    for name, network in networks.items():
        network.save_pretrained(folder / name)
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "sample_size": 64}))
    words.save_pretrained(folder / "tokenizer")
    options: dict[str, Any] = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 0.9}
    FlowMatchEulerDiscreteScheduler(shift_terminal=terminal, **options).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(index(kind), indent=2))
    return folder


PIPELINES = {
    "image": "QwenImagePipeline",
    "edit": "QwenImageEditPipeline",
    "edit-plus": "QwenImageEditPlusPipeline",
}
"""diffusers' pipeline by variant."""


def index(kind: str = "image") -> dict[str, Any]:
    """What ``model_index.json`` holds."""
    return {
        "_class_name": PIPELINES[kind],
        "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"],
        "tokenizer": ["transformers", "Qwen2Tokenizer"],
        "transformer": ["diffusers", "QwenImageTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLQwenImage"],
    }
