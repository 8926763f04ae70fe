"""What LoRAs add to one layer, computed beside it or put into its weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from latentry import IncompatibleError
from latentry_diffusers.loading.quantised import is_quantised


class Delta:
    """The change of one layer by all LoRAs together: up·down, where the rank is the sum of all ranks.

    Args:
        pairs: ``down`` (rank, inputs, …) and ``up`` (outputs, rank, …) of each LoRA, scales and weights applied.
    """

    def __init__(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
        self._down = torch.cat([down for down, _ in pairs])
        self._up = torch.cat([up for _, up in pairs], dim=1)
        self._placed = (self._down, self._up)

    def beside(self, layer: nn.Module) -> Callable[[], None]:
        """Adds it to what the layer gives, from now on, and gives the way back. The layer stays what it is."""
        return layer.register_forward_hook(self._hook).remove

    def within(self, layer: nn.Linear | nn.Conv2d) -> Callable[[], None]:
        """Adds it to the layer's weight and gives the way back, which puts the same bits back.

        The old weight is kept on the CPU.
        """
        weight, before = layer.weight, layer.weight.data
        changed = before.float() + self._matrix(before.device).view(before.shape)
        weight.data = changed.to(before.dtype)
        kept = before.cpu()

        def back() -> None:
            weight.data = kept.to(weight.device)

        return back

    def _matrix(self, device: torch.device) -> Tensor:
        return self._up.to(device).flatten(1) @ self._down.to(device).flatten(1)

    def _hook(self, layer: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor:
        x = given[0].to(output.dtype)  # quantised layers compute in a dtype of their own
        down, up = self._like(x)
        if isinstance(layer, nn.Conv2d):
            return output + conv2d(layer._conv_forward(x, down, None), up)
        return output + linear(linear(x, down), up)

    def _like(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The factors where and in what the layer runs; moved once, at its first call there."""
        down, up = self._placed
        if down.device != x.device or down.dtype != x.dtype:
            down, up = down.to(x.device, x.dtype), up.to(x.device, x.dtype)
            self._placed = down, up
        return down, up


def check_mergeable(part: str, name: str, layer: nn.Linear | nn.Conv2d) -> None:
    """Refuses a layer whose weight cannot take a change in.

    Raises:
        IncompatibleError: it is quantised.
    """
    if is_quantised(layer.weight):
        raise IncompatibleError(
            "The LoRAs cannot be merged into this model.",
            why=f"The weights of {part}.{name} are quantised: with a change they would have to be rounded anew.",
            remedy="Use them unmerged, which is the default.",
        )
