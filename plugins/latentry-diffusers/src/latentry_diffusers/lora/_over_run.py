"""The change of a layer by adapters some of whose weights change over a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from latentry import IncompatibleError
from latentry_diffusers.lora._build import Change, together
from latentry_diffusers.lora._layer_change import Layer, LayerChange
from latentry_diffusers.lora._terms import ReadWeight

Weights = tuple[float, ...]


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

    def __init__(self, parts: Sequence[Part], now: Callable[[], Weights]) -> None:
        self._parts, self._now = parts, now
        self._moved: tuple[torch.device, Sequence[Part]] | None = None
        self._last: tuple[Weights, torch.device, LayerChange] | None = None

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
        return self._at(self._now(), given[0].device).applied(layer, given, output)

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
