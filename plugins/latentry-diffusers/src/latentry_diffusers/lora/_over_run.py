"""The change of a layer by adapters some of whose weights change over a run, or differ from row to row of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from latentry import IncompatibleError
from latentry_diffusers.loading.on_device import on_device
from latentry_diffusers.lora._build import Change, together
from latentry_diffusers.lora._layer_change import Layer, LayerChange
from latentry_diffusers.lora._terms import ReadWeight

Weights = tuple[float, ...]


class RowWeights:
    """The weights that change, for each row of a batch; on a device they are put once for all layers.

    Attributes:
        rows: of each row.
    """

    def __init__(self, rows: Sequence[Sequence[float]]) -> None:
        self.rows: Sequence[Weights] = tuple(map(tuple, rows))
        self._columns: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    @property
    def alike(self) -> bool:
        """Whether all rows have the same."""
        return all(weights == self.rows[0] for weights in self.rows)

    def column(self, index: int, like: Tensor) -> Tensor:
        """One of the weights in each row (rows), on the device and in the dtype of a tensor."""
        key = like.device, like.dtype
        if key not in self._columns:
            self._columns[key] = on_device(self.rows, like.device, like.dtype)
        return self._columns[key][:, index]


class Part(NamedTuple):
    """What one adapter does to the layer.

    Attributes:
        change: with its weight, or with a weight of 1 where that changes.
        curve: which of the weights that change it has; None for none.
    """

    change: Change
    curve: int | None


class ChangeOverRun:
    """The change of one layer by all adapters together; with the same weights it gives the bits of a ``LayerChange``.

    Args:
        parts: what each adapter does.
        now: gives the weights that change, as they are at present.
    """

    def __init__(self, parts: Sequence[Part], now: Callable[[], RowWeights]) -> None:
        self._parts, self._now = parts, now
        self._moved: tuple[torch.device, Sequence[Part]] | None = None
        self._last: tuple[Weights, torch.device, LayerChange] | None = None
        self._whole = [together([part.change]) for part in parts]

    reads = frozenset[nn.Module]()
    """It is not merged."""

    def add_hook(self, layer: nn.Module) -> Callable[[], None]:
        """See ``LayerChange.add_hook``."""
        return layer.register_forward_hook(self._hook).remove

    def merge(self, layer: Layer, read: ReadWeight) -> Callable[[], None]:
        """Refuses.

        Raises:
            IncompatibleError: always.
        """
        raise IncompatibleError(
            "A LoRA whose weight changes over the run cannot be merged.",
            why="It would be merged into the model's weights once.",
            remedy="Use it unmerged, which is the default.",
        )

    def _hook(self, layer: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor:
        now = self._now()
        if now.alike:
            return self._at(now.rows[0], given[0].device).applied(layer, given, output)
        if all(part.curve is None or part.change.proportional for part in self._parts):
            return self._in_proportion(now, layer, given, output)
        return torch.cat(list(self._in_pieces(now.rows, layer, given[0], output)))

    def _in_proportion(self, now: RowWeights, layer: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor:
        """What each adapter adds with a weight of 1, times the weight of each row."""
        for part, change in zip(self._parts, self._whole, strict=True):
            added = change.applied(layer, given, torch.zeros_like(output))
            if part.curve is not None:
                weights = now.column(part.curve, output)
                added = added * weights.view(-1, *(1,) * (output.ndim - 1))
            output = output + added
        return output

    def _in_pieces(self, rows: Sequence[Weights], layer: nn.Module, x: Tensor, output: Tensor) -> Iterator[Tensor]:
        """Rows of equal weights apart: rotations and norms are not proportional to their weights."""
        place = 0
        for weights, several in groupby(rows):
            here = slice(place, place := place + len(list(several)))
            yield self._at(weights, x.device).applied(layer, (x[here],), output[here])

    def _at(self, weights: Weights, device: torch.device) -> LayerChange:
        """The change with some weights; made anew where they are not those of the last call."""
        last = self._last
        if last is None or last[:2] != (weights, device):
            with torch.inference_mode(False), torch.no_grad():  # what is kept can be used under autograd later
                self._last = last = (weights, device, together(_weighed(self._on(device), weights)))
        return last[2]

    def _on(self, device: torch.device) -> Sequence[Part]:
        """The parts on a device, where they are scaled without a copy from the host."""
        here = self._moved
        if here is None or here[0] != device:
            self._moved = here = (device, [Part(part.change.on(device), part.curve) for part in self._parts])
        return here[1]


def _weighed(parts: Sequence[Part], weights: Weights) -> list[Change]:
    pairs = [(part.change, 1.0 if part.curve is None else weights[part.curve]) for part in parts]
    return [change if weight == 1.0 else change.weighed(weight) for change, weight in pairs if weight != 0.0]
