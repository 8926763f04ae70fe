"""Recognises FLUX.1 in the headers of a file of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from latentry_diffusers.files.headers import PREFIXES, Headers, count, side
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import architecture
from latentry_diffusers.recognise.missing import Need
from latentry_diffusers.recognise.recognise import FileFinding
from latentry_flux.variants import CONTROLLED, TRANSFORMERS

NEEDS = (Need("CLIP-L", ("text_encoders.clip_l.", "clip_l.")), Need("T5-XXL", ("text_encoders.t5xxl.", "t5xxl.")))
EDITS = "it is Kontext, which edits a given picture and is not supported"


class Shape(NamedTuple):
    """What tells the transformers apart.

    Attributes:
        taken: channels of a patch that it takes.
        given: channels of a patch that it gives.
        width: of both streams.
        double: blocks with two streams.
        single: blocks with one.
        text: width of the text states.
        guided: whether it takes the guidance scale as an input.
    """

    taken: int
    given: int
    width: int
    double: int
    single: int
    text: int
    guided: bool


class _Layout(NamedTuple):
    words: str
    pictures: str
    text: str
    pooled: str
    guidance: str
    last: str
    double: Callable[[int], str]
    single: Callable[[int], str]


ORIGINAL = _Layout(
    "the original",
    "img_in.weight",
    "txt_in.weight",
    "vector_in.in_layer.weight",
    "guidance_in.in_layer.weight",
    "final_layer.linear.weight",
    "double_blocks.{}.img_attn.qkv.weight".format,
    "single_blocks.{}.linear1.weight".format,
)
DIFFUSERS = _Layout(
    "the diffusers",
    "x_embedder.weight",
    "context_embedder.weight",
    "time_text_embed.text_embedder.linear_1.weight",
    "time_text_embed.guidance_embedder.linear_1.weight",
    "proj_out.weight",
    "transformer_blocks.{}.attn.add_k_proj.weight".format,
    "single_transformer_blocks.{}.attn.to_k.weight".format,
)


def find_in_file(weights: WeightFiles) -> FileFinding | None:
    """FLUX.1 in a file of weights; None where there is no such network."""
    for prefix in PREFIXES:
        for layout in (ORIGINAL, DIFFUSERS):
            if (shape := _shape(weights.tensors, prefix, layout)) is not None:
                return _finding(layout, shape, weights)
    return None


def _finding(layout: _Layout, shape: Shape, weights: WeightFiles) -> FileFinding:
    variants, sign = variants_of(shape.taken, shape.given, guided=shape.guided)
    blocks = f"the transformer has {shape.double} double and {shape.single} single blocks of width {shape.width}"
    evidence = (f"it holds a transformer in {layout.words} layout", blocks, sign)
    named = architecture(weights)
    if "dev" in variants and "kontext" in named:
        return FileFinding((), (*evidence, EDITS))
    variants = tuple(each for each in variants if each in named) or variants
    published = bool(variants) and shape == shape_of(TRANSFORMERS[variants[0]])
    return FileFinding(variants, evidence, NEEDS, "flow_prediction", published)


def variants_of(taken: Any, given: Any, *, guided: bool) -> tuple[tuple[str, ...], str]:
    """The variants whose transformer takes and gives that many channels, and the evidence."""
    if taken == given:
        return (("dev",), "it takes the guidance scale") if guided else (("schnell",), "it takes no guidance scale")
    takes, whole = f"the transformer takes {taken} channels", isinstance(taken, int) and isinstance(given, int)
    if whole and guided and taken > 2 * given:
        return ("fill",), f"{takes}: latents, the picture around the mask, the mask"
    if whole and guided and taken == 2 * given:
        return CONTROLLED, f"{takes}: latents, and those of a picture of edges or depth"
    return (), f"{takes} and gives {given}, which no supported network does"


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a published configuration of ``FluxTransformer2DModel`` describes."""
    return Shape(
        taken=config["in_channels"],
        given=config.get("out_channels") or config["in_channels"],
        width=config["num_attention_heads"] * config["attention_head_dim"],
        double=config["num_layers"],
        single=config["num_single_layers"],
        text=config["joint_attention_dim"],
        guided=config["guidance_embeds"],
    )


def _shape(tensors: Headers, prefix: str, layout: _Layout) -> Shape | None:
    width, taken = (side(tensors, f"{prefix}{layout.pictures}", dimension) for dimension in (0, 1))
    given, text = side(tensors, f"{prefix}{layout.last}", 0), side(tensors, f"{prefix}{layout.text}", 1)
    pooled = f"{prefix}{layout.pooled}" in tensors
    double = count(tensors, lambda number: prefix + layout.double(number))
    single = count(tensors, lambda number: prefix + layout.single(number))
    if width is None or taken is None or given is None or text is None or not (pooled and double and single):
        return None
    return Shape(taken, given, width, double, single, text, f"{prefix}{layout.guidance}" in tensors)
