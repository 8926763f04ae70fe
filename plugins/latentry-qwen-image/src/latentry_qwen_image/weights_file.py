"""Recognises Qwen-Image in the headers of a file of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from latentry_diffusers.files.headers import PREFIXES, Headers, count, side
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import architecture
from latentry_diffusers.recognise.recognise import FileFinding
from latentry_qwen_image.parts import NEEDS
from latentry_qwen_image.variants import SIZES, TRANSFORMER

OTHERS = ("layered", "control")
"""What the names of other architectures with the same tensors have."""


class Shape(NamedTuple):
    """What tells transformers apart: their width, blocks, channels of a token, and width of the text states."""

    width: int
    blocks: int
    token: int
    text: int


def find_in_file(weights: WeightFiles) -> FileFinding | None:
    """Qwen-Image in a file of weights; None where there is no such network."""
    for prefix in PREFIXES:
        if (shape := _shape(weights.tensors, prefix)) is not None:
            blocks = f"the transformer has {shape.blocks} blocks of width {shape.width}, each with two modulations"
            stated = architecture(weights)
            if any(other in stated for other in OTHERS):
                return FileFinding((), (blocks, f"its metadata name {stated}, which is not supported"))
            variant, published = _variant(stated), shape == shape_of(TRANSFORMER)
            return FileFinding((variant,), (blocks,), NEEDS, "flow_prediction", published, tuple(SIZES))
    return None


def _variant(stated: str) -> str:
    """The variant that an architecture's name, in lower case, tells; tensors tell none apart."""
    if "edit" not in stated:
        return "image"
    return "edit-plus" if any(mark in stated for mark in ("plus", "2509", "2511")) else "edit"


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a published configuration of ``QwenImageTransformer2DModel`` describes."""
    width = config["num_attention_heads"] * config["attention_head_dim"]
    return Shape(width, config["num_layers"], config["in_channels"], config["joint_attention_dim"])


def _shape(tensors: Headers, prefix: str) -> Shape | None:
    width, token = (side(tensors, f"{prefix}img_in.weight", dimension) for dimension in (0, 1))
    text = side(tensors, f"{prefix}txt_norm.weight", 0)
    blocks = count(tensors, lambda number: f"{prefix}transformer_blocks.{number}.txt_mod.1.weight")
    return None if width is None or token is None or text is None or not blocks else Shape(width, blocks, token, text)
