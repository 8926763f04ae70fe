"""Recognises Stable Diffusion 3 and 3.5 in the headers of a file of weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from latentry_diffusers.files.headers import PREFIXES, Headers, count, side
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import architecture
from latentry_diffusers.recognise.missing import Need
from latentry_diffusers.recognise.recognise import FileFinding
from latentry_sd3.variants import TRANSFORMERS

NEEDS = (
    Need("CLIP-L", ("text_encoders.clip_l.", "clip_l.")),
    Need("CLIP-G", ("text_encoders.clip_g.", "clip_g.")),
    Need("T5-XXL", ("text_encoders.t5xxl.", "t5xxl."), optional=True),
)
CHANNELS = "only networks with 16 are supported"
LARGE = ("sd35-large", "sd35-large-turbo")
"""The same networks, one of them distilled."""
NOT_STATED = "modelspec.architecture in its metadata would tell them apart, and it does not"


class Shape(NamedTuple):
    """What tells the transformers apart.

    Attributes:
        channels: of the input.
        width: of both streams.
        layers: blocks.
        positions: along each side of the table of positions.
        text: width of the text states.
        normed: whether queries and keys are normalised.
        dual: how many blocks have a second attention.
    """

    channels: int
    width: int
    layers: int
    positions: int
    text: int
    normed: bool
    dual: int


class _Layout(NamedTuple):
    words: str
    blocks: Callable[[int], str]
    norm: str
    second: Callable[[int], str]
    patches: str
    positions: str


ORIGINAL = _Layout(
    "the original",
    "joint_blocks.{}.x_block.attn.qkv.weight".format,
    "joint_blocks.0.x_block.attn.ln_q.weight",
    "joint_blocks.{}.x_block.attn2.qkv.weight".format,
    "x_embedder.proj.weight",
    "pos_embed",
)
DIFFUSERS = _Layout(
    "the diffusers",
    "transformer_blocks.{}.attn.add_k_proj.weight".format,
    "transformer_blocks.0.attn.norm_q.weight",
    "transformer_blocks.{}.attn2.to_q.weight".format,
    "pos_embed.proj.weight",
    "pos_embed.pos_embed",
)


def find_in_file(weights: WeightFiles) -> FileFinding | None:
    """Stable Diffusion 3 in a file of weights; None where there is no such network."""
    found = (
        (layout, shape)
        for prefix in PREFIXES
        for layout in (ORIGINAL, DIFFUSERS)
        if (shape := _shape(weights.tensors, prefix, layout)) is not None
    )
    layout, shape = next(found, (None, None))
    if layout is None or shape is None:
        return None
    evidence = (
        f"it holds a transformer in {layout.words} layout",
        f"the transformer has {shape.layers} blocks of width {shape.width} and takes {shape.channels} channels",
    )
    if shape.channels != 16:
        return FileFinding((), (*evidence, CHANNELS))
    possible, sign = variants_of(normed=shape.normed, dual=bool(shape.dual))
    variants = possible
    if len(possible) > 1:
        variants, more = narrow_down(architecture(weights))
        sign = f"{sign}; {more or NOT_STATED}"
    published = shape in (shape_of(TRANSFORMERS[name]) for name in variants)
    without = () if any(name.startswith(NEEDS[-1].prefixes) for name in weights.tensors) else ("T5 is optional",)
    return FileFinding(variants, (*evidence, sign, *without), NEEDS, "flow_prediction", published, possible)


def variants_of(*, normed: bool, dual: bool) -> tuple[tuple[str, ...], str]:
    """The variants whose transformers are built this way, and the evidence.

    Args:
        normed: whether queries and keys are normalised.
        dual: whether some blocks have a second attention.
    """
    if not normed:
        return ("sd3-medium",), "queries and keys are not normalised"
    if dual:
        return ("sd35-medium",), "queries and keys are normalised, and some blocks have a second attention"
    return LARGE, "queries and keys are normalised, as in Large and in Large Turbo"


def narrow_down(architecture: str) -> tuple[tuple[str, ...], str]:
    """Large or Large Turbo, or both where the architecture does not say, and the evidence."""
    if "turbo" in architecture:
        return ("sd35-large-turbo",), f"its architecture is {architecture}"
    if "large" in architecture:
        return ("sd35-large",), f"its architecture is {architecture}"
    return LARGE, ""


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a published configuration of ``SD3Transformer2DModel`` describes."""
    return Shape(
        channels=config["in_channels"],
        width=config["num_attention_heads"] * config["attention_head_dim"],
        layers=config["num_layers"],
        positions=config["pos_embed_max_size"],
        text=config["joint_attention_dim"],
        normed=config.get("qk_norm") is not None,
        dual=len(config.get("dual_attention_layers", ())),
    )


def _shape(tensors: Headers, prefix: str, layout: _Layout) -> Shape | None:
    width, channels = (side(tensors, f"{prefix}{layout.patches}", dimension) for dimension in (0, 1))
    text = side(tensors, f"{prefix}context_embedder.weight", 1)
    layers = count(tensors, lambda number: prefix + layout.blocks(number))
    if width is None or channels is None or text is None or not layers:
        return None
    return Shape(
        channels=channels,
        width=width,
        layers=layers,
        positions=math.isqrt(side(tensors, f"{prefix}{layout.positions}", 1) or 0),
        text=text,
        normed=f"{prefix}{layout.norm}" in tensors,
        dual=count(tensors, lambda number: prefix + layout.second(number)),
    )
