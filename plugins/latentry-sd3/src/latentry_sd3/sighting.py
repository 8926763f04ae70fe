"""What the headers of a file show of Stable Diffusion 3 and 3.5."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from latentry_diffusers.files.headers import PREFIXES, Headers, count, side
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import said_in
from latentry_diffusers.recognise.missing import Need
from latentry_diffusers.recognise.recognise import Sighting
from latentry_sd3.variants import TRANSFORMERS

NEEDS = (
    Need("CLIP-L", ("text_encoders.clip_l.", "clip_l.")),
    Need("CLIP-G", ("text_encoders.clip_g.", "clip_g.")),
    Need("T5-XXL", ("text_encoders.t5xxl.", "t5xxl."), optional=True),
)
CHANNELS = "only networks with 16 are supported"
UNTOLD = (
    "3.5 Large and Large Turbo have the same tensors: modelspec.architecture or modelspec.title in its metadata would"
    " tell, and it has none that does"
)


class Shape(NamedTuple):
    """What tells the transformers apart: input channels, width, blocks, side of the table of positions, width of the
    text states, whether queries and keys are normed, and how many blocks attend twice."""

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


def see(weights: WeightFiles) -> Sighting | None:
    """Stable Diffusion 3 in a file of weights; None where there is no such network."""
    seen = next(
        (
            (layout, shape)
            for prefix in PREFIXES
            for layout in (ORIGINAL, DIFFUSERS)
            if (shape := _shape(weights.tensors, prefix, layout)) is not None
        ),
        None,
    )
    if seen is None:
        return None
    layout, shape = seen
    evidence = (
        f"it holds a transformer in {layout.words} layout",
        f"the transformer has {shape.layers} blocks of width {shape.width} and takes {shape.channels} channels",
    )
    if shape.channels != 16:
        return Sighting((), (*evidence, CHANNELS))
    variants, sign = _variants(shape, said_in(weights).lower())
    published = shape in (shape_of(TRANSFORMERS[name]) for name in variants)
    without = () if any(name.startswith(NEEDS[-1].prefixes) for name in weights.tensors) else ("T5 is optional",)
    return Sighting(variants, (*evidence, *sign, *without), NEEDS, "flow_prediction", published)


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


def _variants(shape: Shape, said: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not shape.normed:
        return ("sd3-medium",), ("queries and keys are not normed",)
    if shape.dual:
        return ("sd35-medium",), ("queries and keys are normed, and some blocks have a second attention",)
    if "turbo" in said:
        return ("sd35-large-turbo",), ("its metadata names Turbo",)
    if "large" in said:
        return ("sd35-large",), ("its metadata names Large",)
    return ("sd35-large", "sd35-large-turbo"), ("queries and keys are normed", UNTOLD)
