"""The names under which files know the layers of a model, each spelled out: nothing is guessed from a name."""

from __future__ import annotations

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
"""What precedes a layer's name, by part, in diffusers', PEFT's and ComfyUI's files."""

UNDERSCORED: Mapping[str, tuple[str, ...]] = {
    "unet": ("lora_unet_", "lycoris_"),
    "transformer": ("lora_unet_", "lora_transformer_", "lycoris_"),
    "text_encoder": ("lora_te_", "lora_te1_"),
    "text_encoder_2": ("lora_te2_",),
    "text_encoder_3": ("lora_te3_",),
}
"""Likewise in kohya's and OneTrainer's, where the dots of the name are underscores."""

T5 = ("text_encoders.t5xxl.transformer.", "lora_te3_")
"""What precedes T5's names, dotted and underscored, also where it is a model's second encoder, as in FLUX.1."""


@dataclass(frozen=True)
class Place:
    """Where in a model a layer of a file lies.

    Attributes:
        part: the network.
        layers: of the network; several are stacked in the file along the rows of ``up``, in this order.
        halves: the two halves of the rows are exchanged.
    """

    part: str
    layers: tuple[str, ...]
    halves: bool = False


def places(networks: Mapping[str, nn.Module], originals: Sequence[Pair]) -> Mapping[str, Place]:
    """Every name by which a file may mean a layer of these networks; what could mean two is left out.

    Args:
        networks: by part, as ``latentry.models.Model.networks``; they may be on the meta device.
        originals: the denoiser's names in its original layout.
    """
    found: dict[str, Place | None] = {}
    for part in networks.keys() & DOTTED.keys():
        for name, place in _named(part, networks[part], originals if part in DENOISERS else ()):
            for spelled in _spelled(part, name, networks[part]):
                found[spelled] = place if found.get(spelled, place) == place else None
    return {name: place for name, place in found.items() if place is not None}


def changeable(network: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """The layers that a LoRA can change, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    }


def _named(part: str, network: nn.Module, originals: Sequence[Pair]) -> Iterator[tuple[str, Place]]:
    layers = changeable(network)
    for layer in layers:
        for name in _aliases(part, layer):
            yield name, Place(part, (layer,))
    for pair in originals:
        held = tuple(name.removesuffix(".weight") for name in pair.diffusers)
        if pair.original.endswith(".weight") and all(layer in layers for layer in held):
            yield pair.original.removesuffix(".weight"), Place(part, held, pair.form == "halves")


def _aliases(part: str, layer: str) -> Iterator[str]:
    """A layer's name, with and without CLIP's root, and as diffusers once named the layers of attention."""
    yield layer
    if part not in DENOISERS:
        yield layer.removeprefix(CLIP_ROOT) if layer.startswith(CLIP_ROOT) else CLIP_ROOT + layer
    attention, _, projection = layer.removesuffix(".0").rpartition(".")
    if projection in ("to_q", "to_k", "to_v", "to_out"):
        yield f"{attention}.processor.{projection}_lora"


def _spelled(part: str, name: str, network: nn.Module) -> Iterator[str]:
    dotted, underscored = DOTTED[part], UNDERSCORED[part]
    if type(network).__name__.startswith("T5"):
        dotted, underscored = (*dotted, T5[0]), (*underscored, T5[1])
    yield from (start + name for start in dotted)
    yield from (start + name.replace(".", "_") for start in underscored)
