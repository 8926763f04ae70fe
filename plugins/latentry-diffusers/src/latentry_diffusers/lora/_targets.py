"""The names that files use for a model's layers. Every name is listed, so that none has to be guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from latentry_diffusers.layouts import Pair

DENOISERS = ("unet", "transformer")
CLIP_ROOT = "text_model."
"""What the names of CLIP's layers begin with in files, and in some of transformers' networks."""

DOTTED: Mapping[str, tuple[str, ...]] = {
    "unet": ("", "unet.", "diffusion_model.", "model.diffusion_model."),
    "transformer": ("", "transformer.", "diffusion_model.", "model.diffusion_model."),
    "text_encoder": ("", "text_encoder.", "text_encoders.clip_l.transformer."),
    "text_encoder_2": ("", "text_encoder_2.", "text_encoders.clip_g.transformer."),
    "text_encoder_3": ("", "text_encoder_3.", "text_encoders.t5xxl.transformer."),
}
"""What comes before a layer's name, by part, in files of diffusers, PEFT and ComfyUI."""

UNDERSCORED: Mapping[str, tuple[str, ...]] = {
    "unet": ("lora_unet_", "lycoris_"),
    "transformer": ("lora_unet_", "lora_transformer_", "lycoris_"),
    "text_encoder": ("lora_te_", "lora_te1_"),
    "text_encoder_2": ("lora_te2_",),
    "text_encoder_3": ("lora_te3_",),
}
"""The same prefixes in files of kohya, LyCORIS and OneTrainer, where underscores replace the dots of a name."""

T5 = ("text_encoders.t5xxl.transformer.", "lora_te3_")
"""What comes before T5's names, dotted and underscored, even where T5 is the model's second encoder, as in FLUX.1."""


@dataclass(frozen=True)
class Target:
    """The layers of a model that one layer of a file stands for.

    Attributes:
        part: the network.
        layers: of the network; several of them are stacked in the file along the rows, in this order.
        halves: the two halves of the rows are exchanged in the file.
    """

    part: str
    layers: tuple[str, ...]
    halves: bool = False


def find_targets(networks: Mapping[str, nn.Module], originals: Sequence[Pair]) -> Mapping[str, Target]:
    """Every name by which a file may mean a layer of these networks. A name that could mean two is left out.

    Args:
        networks: by part, as ``latentry.models.Model.networks``; they may be on the meta device.
        originals: the denoiser's names in its original layout.
    """
    found: dict[str, Target | None] = {}
    for part in networks.keys() & DOTTED.keys():
        for name, target in _named(part, networks[part], originals if part in DENOISERS else ()):
            for spelled in _spelled(part, name, networks[part]):
                found[spelled] = target if found.get(spelled, target) == target else None
    return {name: target for name, target in found.items() if target is not None}


def changeable(network: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """The layers that an adapter can change, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    }


def _named(part: str, network: nn.Module, originals: Sequence[Pair]) -> Iterator[tuple[str, Target]]:
    layers = changeable(network)
    for layer in layers:
        for name in _aliases(part, layer):
            yield name, Target(part, (layer,))
    for pair in originals:
        held = tuple(name.removesuffix(".weight") for name in pair.diffusers)
        if pair.original.endswith(".weight") and all(layer in layers for layer in held):
            name = pair.original.removesuffix(".weight")
            yield name, Target(part, held, pair.form == "halves")
            yield from _xlabs(part, name, held)


def _aliases(part: str, layer: str) -> Iterator[str]:
    """A layer's name, with and without CLIP's root, and as diffusers once named the layers of attention."""
    yield layer
    if part not in DENOISERS:
        yield layer.removeprefix(CLIP_ROOT) if layer.startswith(CLIP_ROOT) else CLIP_ROOT + layer
    attention, _, projection = layer.removesuffix(".0").rpartition(".")
    if projection in ("to_q", "to_k", "to_v", "to_out"):
        yield f"{attention}.processor.{projection}_lora"


XLABS_NAMES: Mapping[str, tuple[str, int | None]] = {
    "img_attn.qkv": ("qkv_lora1", None),
    "img_attn.proj": ("proj_lora1", None),
    "txt_attn.qkv": ("qkv_lora2", None),
    "txt_attn.proj": ("proj_lora2", None),
    "linear1": ("qkv_lora", 3),
    "linear2": ("proj_lora", None),
}
"""FLUX.1's layers → what XLabs' attention processors call them, and how many of the stacked layers they change.

In a single block, queries, keys and values are the first three of the four layers in ``linear1``.
"""


def _xlabs(part: str, name: str, layers: tuple[str, ...]) -> Iterator[tuple[str, Target]]:
    found = re.fullmatch(r"((?:double|single)_blocks\.\d+)\.(.+)", name)
    if found and found[2] in XLABS_NAMES:
        processor, count = XLABS_NAMES[found[2]]
        yield f"{found[1]}.processor.{processor}", Target(part, layers[:count])


def _spelled(part: str, name: str, network: nn.Module) -> Iterator[str]:
    dotted, underscored = DOTTED[part], UNDERSCORED[part]
    if type(network).__name__.startswith("T5"):
        dotted, underscored = (*dotted, T5[0]), (*underscored, T5[1])
    yield from (start + name for start in dotted)
    yield from (start + name.replace(".", "_") for start in underscored)
