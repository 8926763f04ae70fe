"""CLIP's text encoder in the two layouts of single files: transformers' and OpenCLIP's.

transformers itself has two: ``CLIPTextModel`` of 5.6 and later calls its tensors ``encoder.layers.0…``, earlier
versions and ``CLIPTextModelWithProjection`` call them ``text_model.encoder.layers.0…``. ``root`` is what the names of
the network at hand begin with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Pair

Config = Mapping[str, Any]

ROOT = "text_model."
LAYERS = 12
"""transformers' default number of layers."""

OPEN_CLIP_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def clip_pairs(config: Config, *, root: str = ROOT, projected: bool = False) -> tuple[Pair, ...]:
    """Every tensor of the encoder as in single files with transformers' names, which begin with ``text_model.``.

    Args:
        config: of transformers' ``CLIPTextModel``.
        root: what the network's names begin with, ``text_model.`` or nothing.
        projected: whether the network is a ``CLIPTextModelWithProjection``.
    """
    names = ["embeddings.token_embedding.weight", "embeddings.position_embedding.weight"]
    parts = [*OPEN_CLIP_LAYER.values(), *(f"self_attn.{name}_proj" for name in "qkv")]
    layers = [f"encoder.layers.{index}.{part}" for index in range(_layers(config)) for part in parts]
    names += [f"{name}.{end}" for name in (*layers, "final_layer_norm") for end in ("weight", "bias")]
    pairs = tuple(Pair(f"{ROOT}{name}", (f"{root}{name}",)) for name in names)
    return (*pairs, Pair("text_projection.weight", ("text_projection.weight",))) if projected else pairs


def open_clip_pairs(config: Config, *, root: str = ROOT, projected: bool = False) -> tuple[Pair, ...]:
    """Every tensor of the encoder in OpenCLIP's layout, where query, key and value are stacked.

    Args:
        config: of transformers' ``CLIPTextModel``.
        root: what the network's names begin with, ``text_model.`` or nothing.
        projected: whether the network is a ``CLIPTextModelWithProjection``.
    """
    pairs = [
        Pair("token_embedding.weight", (f"{root}embeddings.token_embedding.weight",)),
        Pair("positional_embedding", (f"{root}embeddings.position_embedding.weight",)),
        *layer("ln_final", f"{root}final_layer_norm"),
    ]
    for index in range(_layers(config)):
        pairs += _layer(f"transformer.resblocks.{index}", f"{root}encoder.layers.{index}")
    if projected:
        pairs.append(Pair("text_projection", ("text_projection.weight",), "transposed"))
    return tuple(pairs)


def _layers(config: Config) -> int:
    return int(config.get("num_hidden_layers", LAYERS))


def _layer(original: str, diffusers: str) -> Iterator[Pair]:
    for there, here in OPEN_CLIP_LAYER.items():
        yield from layer(f"{original}.{there}", f"{diffusers}.{here}")
    for end in ("weight", "bias"):
        stacked = tuple(f"{diffusers}.self_attn.{name}_proj.{end}" for name in "qkv")
        yield Pair(f"{original}.attn.in_proj_{end}", stacked)
