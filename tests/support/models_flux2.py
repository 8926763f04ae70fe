"""A FLUX.2 folder of random weights, small enough to be made in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from support.parts import mistral, mistral_tokenizer, qwen3

Kind = Literal["dev", "klein-4b", "klein-base-4b"]
WIDTH = 32
"""Of the text encoder's states."""
WINDOW: dict[bool, int] = {True: 256, False: 96}
"""Tokens of a prompt with what is around it, of dev, whose instructions are long, and of klein."""
LAYERS: dict[bool, int] = {True: 31, False: 28}
"""Of the text encoders of dev and of klein: one more than the last that is read."""


def write_flux2(folder: Path, kind: Kind = "klein-base-4b", *, seed: int = 0, **transformer: Any) -> Path:
    """Write the whole folder in diffusers' layout and give its path.

    Args:
        folder: to be made.
        kind: which of the networks.
        seed: of the weights.
        transformer: further settings of the transformer's ``config.json``.
    """
    import torch
    from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel

    from latentry_shapes.encoders import qwen_tokenizer

    dev = kind == "dev"
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        words = mistral_tokenizer() if dev else qwen_tokenizer()
        words.model_max_length = WINDOW[dev]
        settings: dict[str, Any] = {
            "in_channels": 32,
            "num_layers": 2,
            "num_single_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 4,
            "joint_attention_dim": 3 * WIDTH,
            "guidance_embeds": dev,
            "axes_dims_rope": (4, 4, 4, 4),
        }
        vae = AutoencoderKLFlux2(
            block_out_channels=(8, 16),
            layers_per_block=1,
            latent_channels=8,
            norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            sample_size=64,
        )
        vae.bn.get_buffer("running_mean").normal_()
        vae.bn.get_buffer("running_var").uniform_(0.5, 2.0)
        language = mistral if dev else qwen3
        networks: dict[str, Any] = {
            "transformer": Flux2Transformer2DModel(**(settings | transformer)),
            "vae": vae,
            "text_encoder": language(len(words), width=WIDTH, layers=LAYERS[dev], headed=True),
        }
    for name, network in networks.items():
        network.save_pretrained(folder / name)
    words.save_pretrained(folder / "tokenizer")
    FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(index(kind), indent=2))
    return folder


def index(kind: Kind = "klein-base-4b") -> dict[str, Any]:
    """What ``model_index.json`` holds."""
    own = {
        "_class_name": "Flux2Pipeline" if kind == "dev" else "Flux2KleinPipeline",
        "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Mistral3ForConditionalGeneration" if kind == "dev" else "Qwen3ForCausalLM"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast" if kind == "dev" else "Qwen2Tokenizer"],
        "transformer": ["diffusers", "Flux2Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLFlux2"],
    }
    return own if kind == "dev" else {**own, "is_distilled": kind == "klein-4b"}
