"""Turns the layers of an adapter's file into changes of a model's layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from latentry_diffusers.lora._factors import Factors, read_factors
from latentry_diffusers.lora._layer_change import Layer, LayerChange
from latentry_diffusers.lora._match import LayerMatch
from latentry_diffusers.lora._reading._file import FileLayer, LoraFile
from latentry_diffusers.lora._rotation import InputRotation, Rotation, read_rotation
from latentry_diffusers.lora._terms import Addition, Decomposition, Stack, Term, Turn, moved


class Change(NamedTuple):
    """What one adapter does to one layer of the model.

    Attributes:
        part: the network.
        name: the layer's name in the network.
        term: the change of its weight, or None.
        bias: what is added to its bias (outputs), or None.
    """

    part: str
    name: str
    term: Term | None
    bias: Tensor | None

    def on(self, device: torch.device) -> Change:
        """The same on a device."""
        return self._replace(term=moved(self.term, device), bias=moved(self.bias, device))

    @property
    def proportional(self) -> bool:
        """Whether it adds its weight times something that does not depend on it."""
        return self.term is None or isinstance(self.term, Addition)

    def weighed(self, weight: float) -> Change:
        """The same with another weight than 1."""
        term = None if self.term is None else self.term.weighed(weight)
        return self._replace(term=term, bias=None if self.bias is None else weight * self.bias)


def build_changes(file: LoraFile, found: LayerMatch, layers: Mapping[str, Layer], weight: float) -> Iterator[Change]:
    """What a layer of a file does to the layers of the model that it stands for.

    Args:
        file: the adapter.
        found: one of its layers.
        layers: the part's layers, by name.
        weight: the adapter's weight in the request.

    Raises:
        ModelError: a tensor holds values that are not finite, or cannot be read.
    """
    layer, target = found.layer, found.target
    slots = file.read(layer)
    factors, rotation = read_factors(slots), read_rotation(slots, layer.alpha, layer.settings)
    bias = _bias(slots, layer.scale, weight)
    modules = tuple(layers[name] for name in target.layers)
    for name, index in zip(target.layers, _indices(found), strict=True):
        stack = Stack(modules, index, target.halves)
        own = layers[name]
        term = (
            _addition(slots, layer, factors, weight, stack, own)
            if rotation is None
            else _turn(rotation, weight, stack, own)
        )
        yield Change(target.part, name, term, bias if index is None or bias is None else bias[index])


def together(changes: Sequence[Change]) -> LayerChange:
    """Combines the changes of one layer into one."""
    biases = [change.bias for change in changes if change.bias is not None]
    terms = [change.term for change in changes if change.term is not None]
    return LayerChange(terms, torch.stack(biases).sum(0) if biases else None)


def _indices(found: LayerMatch) -> Iterator[Tensor | None]:
    """Yields, for each layer of the model, its rows in the file's layer; None for all rows in the same order."""
    first = 0
    for count in found.rows:
        index = torch.arange(first, first + count)
        if found.target.halves:
            index = index.roll(count // 2)
        yield None if len(found.rows) == 1 and not found.target.halves else index
        first += count


def _bias(slots: Mapping[str, Tensor], scale: float, weight: float) -> Tensor | None:
    """The change of the bias; PEFT's bias of the second factor is scaled like the factors, a difference is not."""
    found = [slots["up_bias"].flatten() * (scale * weight)] if "up_bias" in slots else []
    found += [slots["diff_b"].flatten() * weight] if "diff_b" in slots else []
    return torch.stack(found).sum(0) if found else None


def _turn(rotation: Rotation, weight: float, stack: Stack, layer: nn.Module) -> Turn:
    if not isinstance(rotation, InputRotation) or stack.index is None:
        return Turn((rotation,), (weight,), stack)
    # each row's inputs are turned independently: the other layers of the stack are not needed
    rescale = None if rotation.rescale is None else rotation.rescale[stack.index]
    return Turn((InputRotation(rotation.blocks, rescale),), (weight,), Stack((layer,)))


def _addition(
    slots: Mapping[str, Tensor], layer: FileLayer, factors: Factors | None, weight: float, stack: Stack, own: nn.Module
) -> Term | None:
    scale, index = weight * layer.scale, stack.index
    magnitude, outputs = _magnitude(slots, layer)
    if magnitude is not None and not outputs:
        return Decomposition(factors, scale, magnitude, outputs, stack)
    if factors is not None and index is not None:
        factors = factors.rows(index)
    if magnitude is not None:
        # each output has a norm of its own: the other layers of the stack are not needed
        return Decomposition(factors, scale, magnitude if index is None else magnitude[index], outputs, Stack((own,)))
    return None if factors is None else Addition(factors, scale)


def _magnitude(slots: Mapping[str, Tensor], layer: FileLayer) -> tuple[Tensor | None, bool]:
    """DoRA's magnitudes and whether there is one for each output.

    PEFT has one for each output, of a convolution in the shape (1, outputs, 1, 1). In LyCORIS' layout the shape tells:
    (outputs, 1, …) or (1, inputs, …).
    """
    if "magnitude" in slots:
        return slots["magnitude"].flatten(), True
    if "dora_scale" not in slots:
        return None, True
    found = slots["dora_scale"]
    return found.flatten(), found.numel() == layer.made.rows and found.shape[0] == layer.made.rows
