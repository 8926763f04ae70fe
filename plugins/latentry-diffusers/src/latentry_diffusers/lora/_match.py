"""The layers of a model that a LoRA changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from latentry import IncompatibleError
from latentry_diffusers.lora._described import held
from latentry_diffusers.lora._file import Layer, LoraFile
from latentry_diffusers.lora._names import Place
from latentry_diffusers.lora._settings import ROOT


@dataclass(frozen=True)
class Change:
    """What a LoRA does to one layer of a model.

    Attributes:
        part: the network.
        name: the layer's in it.
        shape: of its weight.
        file: where the factors are.
        layer: which of the file's.
        first: row of ``up`` that is the first of this layer, which may be stacked with others.
        halves: the two halves of its rows are exchanged.
    """

    part: str
    name: str
    shape: tuple[int, ...]
    file: LoraFile
    layer: Layer
    first: int = 0
    halves: bool = False

    def factors(self) -> tuple[Tensor, Tensor]:
        """``down`` (rank, inputs) and scale · ``up`` (outputs, rank), float32; of convolutions with (height, width)."""
        down, up = (self.file.weights.read(key).float() for key in (self.layer.down, self.layer.up))
        rank, ones = self.layer.rank, (1,) * len(self.shape[2:])
        rows = up.flatten(1)[self.first : self.first + self.shape[0]]
        if self.halves:
            rows = rows.roll(len(rows) // 2, 0)
        return down.reshape(rank, *self.shape[1:]), (rows * self.layer.scale).reshape(-1, rank, *ones)


@dataclass(frozen=True)
class Matched:
    """A LoRA on a model.

    Attributes:
        changes: what it does.
        unmatched: keys that belong to no layer of the model.
    """

    changes: tuple[Change, ...]
    unmatched: tuple[str, ...]


def match(file: LoraFile, known: Mapping[str, Place], layers: Mapping[str, Mapping[str, nn.Module]]) -> Matched:
    """Finds the layers of a LoRA in a model.

    Args:
        file: the LoRA.
        known: where each name leads.
        layers: those that can be changed, by part and name.

    Raises:
        IncompatibleError: it changes none, or one of another shape.
    """
    changes: list[Change] = []
    unmatched = list(file.rest)
    for layer in file.layers:
        place = known.get(layer.name.removeprefix(ROOT))
        if place is None:
            unmatched += [layer.down, layer.up]
        else:
            changes += _changes(file, layer, place, layers[place.part])
    if changes:
        return Matched(tuple(changes), tuple(unmatched))
    raise IncompatibleError(
        f"The LoRA {file.path} changes no layer of this model.",
        why=held(file),
        remedy="Take a LoRA for this model, or the model that this one is for.",
    )


def _changes(file: LoraFile, layer: Layer, place: Place, layers: Mapping[str, nn.Module]) -> list[Change]:
    shapes = [_shape(layers[name]) for name in place.layers]
    _check_shapes(file, layer, sum(shape[0] for shape in shapes), shapes[0][1:])
    changes, first = [], 0
    for name, shape in zip(place.layers, shapes, strict=True):
        changes.append(Change(place.part, name, shape, file, layer, first, place.halves))
        first += shape[0]
    return changes


def _shape(module: nn.Module) -> tuple[int, ...]:
    """Of its weight as it would be were it not packed: (outputs, inputs), of a convolution with (height, width)."""
    if isinstance(module, nn.Linear):
        return module.out_features, module.in_features
    assert isinstance(module, nn.Conv2d)
    return module.out_channels, module.in_channels, *module.kernel_size


def _check_shapes(file: LoraFile, layer: Layer, rows: int, inputs: tuple[int, ...]) -> None:
    headers = file.weights.tensors
    wanted = {layer.down: (layer.rank, *inputs), layer.up: (rows, layer.rank)}
    for key, shape in wanted.items():
        if _without_ones(headers[key].shape) != _without_ones(shape):
            raise IncompatibleError(
                f"The LoRA {file.path} does not fit this model.",
                why=f"{key} has the shape {headers[key].shape}, and this model needs {shape}. {held(file)}",
                remedy="Take a LoRA for this model, or the model that this one is for.",
            )


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A linear layer is also a 1×1 convolution."""
    return shape[:2] if shape[2:] == (1, 1) else shape
