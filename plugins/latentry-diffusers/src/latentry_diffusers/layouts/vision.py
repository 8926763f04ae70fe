"""Qwen2.5-VL with its eyes, under the names in published files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry_diffusers.layouts.language import language_pairs
from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Pair


def qwen25_vl_pairs(config: Mapping[str, Any], language: str = "model.", eyes: str = "visual.") -> tuple[Pair, ...]:
    """Every tensor of transformers' ``Qwen2_5_VLModel``.

    Args:
        config: its configuration in transformers' keys.
        language: how the names of its language model begin in the file.
        eyes: likewise those of its picture encoder.
    """
    text = (pair.diffusers[0] for pair in language_pairs(config["text_config"]))
    spoken = tuple(Pair(f"{language}{name}", (f"language_model.{name}",)) for name in text)
    return spoken + tuple(_eyes(config["vision_config"]["depth"], eyes))


def _eyes(depth: int, root: str) -> Iterator[Pair]:
    def same(name: str, *, bias: bool = True) -> Iterator[Pair]:
        return layer(f"{root}{name}", f"visual.{name}", bias=bias)

    yield from same("patch_embed.proj", bias=False)
    for number in range(depth):
        block = f"blocks.{number}"
        for part in ("norm1", "norm2"):
            yield from same(f"{block}.{part}", bias=False)
        for part in ("attn.qkv", "attn.proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"):
            yield from same(f"{block}.{part}")
    yield from same("merger.ln_q", bias=False)
    yield from same("merger.mlp.0")
    yield from same("merger.mlp.2")
