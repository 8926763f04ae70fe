"""Recognises FLUX.2 in the headers of a file of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from latentry_diffusers.files.headers import PREFIXES, Headers, count, side
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import architecture
from latentry_diffusers.recognise.recognise import FileFinding
from latentry_flux2.parts import needs
from latentry_flux2.variants import TRANSFORMERS

WIDE = 4096
"""Width from which a klein of unpublished shape counts as the larger one."""


class Shape(NamedTuple):
    """What tells transformers apart: width, blocks with two streams and with one, text states, guidance as an input."""

    width: int
    double: int
    single: int
    text: int
    guided: bool


class _Layout(NamedTuple):
    words: str
    pictures: str
    text: str
    shared: str
    guidance: str
    double: Callable[[int], str]
    single: Callable[[int], str]


ORIGINAL = _Layout(
    "the original",
    "img_in.weight",
    "txt_in.weight",
    "single_stream_modulation.lin.weight",
    "guidance_in.in_layer.weight",
    "double_blocks.{}.img_attn.qkv.weight".format,
    "single_blocks.{}.linear1.weight".format,
)
DIFFUSERS = _Layout(
    "the diffusers",
    "x_embedder.weight",
    "context_embedder.weight",
    "single_stream_modulation.linear.weight",
    "time_guidance_embed.guidance_embedder.linear_1.weight",
    "transformer_blocks.{}.attn.to_q.weight".format,
    "single_transformer_blocks.{}.attn.to_qkv_mlp_proj.weight".format,
)


def find_in_file(weights: WeightFiles) -> FileFinding | None:
    """FLUX.2 in a file of weights; None where there is no such network.

    The modulation that all blocks share is what FLUX.1 lacks.
    """
    for prefix in PREFIXES:
        for layout in (ORIGINAL, DIFFUSERS):
            if (shape := _shape(weights.tensors, prefix, layout)) is not None:
                return _finding(layout, shape, weights)
    return None


def _finding(layout: _Layout, shape: Shape, weights: WeightFiles) -> FileFinding:
    possible = variants_of(shape.width, guided=shape.guided)
    variants, sign = narrow_down(possible, architecture(weights))
    blocks = f"the transformer has {shape.double} double and {shape.single} single blocks of width {shape.width}"
    evidence = (f"it holds a transformer in {layout.words} layout, whose blocks share their modulation", blocks, sign)
    published = shape == shape_of(TRANSFORMERS[possible[0]])
    return FileFinding(variants, evidence, needs(possible[0]), "flow_prediction", published, possible)


def variants_of(width: int, *, guided: bool) -> tuple[str, ...]:
    """The variants whose transformer may be that wide and is guided that way: distilled before base."""
    if guided:
        return ("dev",)
    size = "9b" if width >= WIDE else "4b"
    return f"klein-{size}", f"klein-base-{size}"


def narrow_down(possible: tuple[str, ...], stated: str) -> tuple[tuple[str, ...], str]:
    """The variants that an architecture's name, in lower case, leaves open, and the evidence."""
    if len(possible) == 1:
        return possible, "it takes the guidance scale"
    if "klein" not in stated:
        return possible, "it takes no guidance scale; nothing in it tells the distilled from the base"
    return ((possible[1],) if "base" in stated else (possible[0],)), f"its metadata name {stated}"


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a published configuration of ``Flux2Transformer2DModel`` describes."""
    width = config["num_attention_heads"] * config["attention_head_dim"]
    blocks = config["num_layers"], config["num_single_layers"]
    return Shape(width, *blocks, config["joint_attention_dim"], config["guidance_embeds"])


def _shape(tensors: Headers, prefix: str, layout: _Layout) -> Shape | None:
    width, text = side(tensors, f"{prefix}{layout.pictures}", 0), side(tensors, f"{prefix}{layout.text}", 1)
    double = count(tensors, lambda number: prefix + layout.double(number))
    single = count(tensors, lambda number: prefix + layout.single(number))
    shared = f"{prefix}{layout.shared}" in tensors
    if width is None or text is None or not (shared and double and single):
        return None
    return Shape(width, double, single, text, f"{prefix}{layout.guidance}" in tensors)
