"""Recognises Z-Image in the headers of a file of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from latentry_diffusers.files.headers import PREFIXES, Headers, count, side
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import architecture
from latentry_diffusers.recognise.recognise import FileFinding
from latentry_z_image.layout import PATCH
from latentry_z_image.parts import NEEDS
from latentry_z_image.variants import SHIFTS, TRANSFORMER

BOTH = tuple(SHIFTS)
"""Turbo has the tensors of the foundation model."""


class Shape(NamedTuple):
    """What tells transformers apart: their width, blocks, channels of a patch, and width of the text states."""

    width: int
    layers: int
    patch: int
    text: int


EMBEDDERS = {"the original": "x_embedder.weight", "the diffusers": f"all_x_embedder.{PATCH}.weight"}
"""The first layer by layout."""


def find_in_file(weights: WeightFiles) -> FileFinding | None:
    """Z-Image in a file of weights; None where there is no such network.

    The token that pads captions is what its kin (Lumina 2) lack.
    """
    for prefix in PREFIXES:
        for layout, embedder in EMBEDDERS.items():
            if (shape := _shape(weights.tensors, prefix, embedder)) is not None:
                return _finding(layout, shape, weights)
    return None


def variants_of(stated: str) -> tuple[tuple[str, ...], str]:
    """The variants that an architecture's name, in lower case, leaves open, and the evidence."""
    if "z-image" not in stated and "z_image" not in stated:
        return BOTH, "nothing in it tells the foundation model from Turbo"
    return (("turbo",) if "turbo" in stated else ("base",)), f"its metadata name {stated}"


def _finding(layout: str, shape: Shape, weights: WeightFiles) -> FileFinding:
    variants, sign = variants_of(architecture(weights))
    blocks = f"the transformer has {shape.layers} blocks of width {shape.width}, and refines the text's states"
    evidence = (f"it holds a transformer in {layout} layout", blocks, sign)
    return FileFinding(variants, evidence, NEEDS, "flow_prediction", shape == shape_of(TRANSFORMER), BOTH)


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a published configuration of ``ZImageTransformer2DModel`` describes."""
    return Shape(config["dim"], config["n_layers"], 4 * config["in_channels"], config["cap_feat_dim"])


def _shape(tensors: Headers, prefix: str, embedder: str) -> Shape | None:
    width, patch = (side(tensors, f"{prefix}{embedder}", dimension) for dimension in (0, 1))
    text = side(tensors, f"{prefix}cap_embedder.1.weight", 1)
    layers = count(tensors, lambda number: f"{prefix}layers.{number}.feed_forward.w1.weight")
    refined = f"{prefix}context_refiner.0.feed_forward.w1.weight" in tensors
    padded = f"{prefix}cap_pad_token" in tensors
    if width is None or patch is None or text is None or not (layers and refined and padded):
        return None
    return Shape(width, layers, patch, text)
