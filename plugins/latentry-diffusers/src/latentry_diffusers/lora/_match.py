"""The layers of a model that an adapter changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from torch import nn

from latentry import IncompatibleError
from latentry_diffusers.lora._layer_change import Layer
from latentry_diffusers.lora._reading._description import described
from latentry_diffusers.lora._reading._file import FileLayer, LoraFile
from latentry_diffusers.lora._reading._settings import ROOT
from latentry_diffusers.lora._shapes import Made
from latentry_diffusers.lora._targets import Target

OTHER = "Use a LoRA for this model, or the model that this LoRA is for."
PER_OUTPUT = ("diff_b", "up_bias", "magnitude", "rescale", "oft_s")
"""Slots with one value for each output of the layer."""


@dataclass(frozen=True)
class LayerMatch:
    """A layer of a file, and the layers of the model that it stands for.

    Attributes:
        layer: the layer in the file.
        target: the layers in the model.
        rows: number of rows of each of the model's layers, in the file's order.
    """

    layer: FileLayer
    target: Target
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Matched:
    """An adapter matched to a model.

    Attributes:
        layers: what it changes.
        unmatched: keys that belong to no layer of the model.
    """

    layers: tuple[LayerMatch, ...]
    unmatched: tuple[str, ...]


def match(file: LoraFile, known: Mapping[str, Target], layers: Mapping[str, Mapping[str, Layer]]) -> Matched:
    """Finds the layers of an adapter in a model.

    Args:
        file: the adapter.
        known: the layers that each name stands for.
        layers: those that can be changed, by part and name.

    Raises:
        IncompatibleError: it changes none, or one of another shape.
    """
    found: list[LayerMatch] = []
    unmatched = list(file.rest)
    for layer in file.layers:
        target = known.get(layer.name.removeprefix(ROOT))
        if target is None:
            unmatched += layer.keys.values()
        else:
            found.append(_matched(file, layer, target, layers[target.part]))
    if found:
        return Matched(tuple(found), tuple(unmatched))
    raise IncompatibleError(f"The LoRA {file.path} changes no layer of this model.", why=described(file), remedy=OTHER)


def _matched(file: LoraFile, layer: FileLayer, target: Target, layers: Mapping[str, Layer]) -> LayerMatch:
    shapes = [_shape(layers[name]) for name in target.layers]
    rows = tuple(shape[0] for shape in shapes)
    shape = (sum(rows), *shapes[0][1:])
    if not layer.made.fits(shape):
        raise _misfit(file, f"{layer.name} is for a layer of {layer.made}", target, shape)
    for slot, key in layer.keys.items():
        size = prod(file.weights.tensors[key].shape)
        if (slot in PER_OUTPUT and size != shape[0]) or (slot == "dora_scale" and size not in shape[:2]):
            raise _misfit(file, f"{key} has the shape {file.weights.tensors[key].shape}", target, shape)
    return LayerMatch(layer, target, rows)


def _misfit(file: LoraFile, found: str, target: Target, shape: tuple[int, ...]) -> IncompatibleError:
    wanted = Made(shape[0], prod(shape[1:]), shape[2:] or None)
    return IncompatibleError(
        f"The LoRA {file.path} does not fit this model.",
        why=f"{found}, and {target.part}.{target.layers[0]} has {wanted}. {described(file)}"
        if len(target.layers) == 1
        else f"{found}, and {target.part}.{' + '.join(target.layers)} have {wanted} together. {described(file)}",
        remedy=OTHER,
    )


def _shape(module: nn.Module) -> tuple[int, ...]:
    """The shape of the weight as it would be if it was not packed: (outputs, inputs), then a convolution's kernel."""
    if isinstance(module, nn.Linear):
        return module.out_features, module.in_features
    assert isinstance(module, nn.Conv2d)
    return module.out_channels, module.in_channels, *module.kernel_size
