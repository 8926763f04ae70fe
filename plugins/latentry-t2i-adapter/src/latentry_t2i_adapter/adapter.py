"""T2I-Adapters in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from latentry.conditioners import ControlQuery, Inject
from latentry.models import Model
from latentry_diffusers.conditioning.conditioner import NetworkConditioner, numbered
from latentry_diffusers.conditioning.preprocessing import preprocessed

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601), as Pillow has them."""


class Adapter(NetworkConditioner):
    """diffusers' ``T2IAdapter``. It sees the picture alone, so that it is evaluated once.

    Args:
        network: it.
    """

    def __init__(self, network: Any) -> None:
        super().__init__("t2i_adapter", network)

    def prepare(self, model: Model, picture: Tensor, options: Any, number: int) -> Inject:
        """Evaluates the network, which takes pictures in 0..1."""
        shown = ((preprocessed(picture, options) + 1) / 2).to(self.dtype)
        if self.network.config.in_channels == 1:
            shown = (shown * shown.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        return _Features(numbered("adapter", self.network(shown)))


@dataclass(frozen=True)
class _Features:
    """What an adapter makes of its picture.

    Attributes:
        tensors: by injection point, with batch size 1.
    """

    tensors: Mapping[str, Tensor]

    def __call__(self, asked: ControlQuery) -> Mapping[str, Tensor]:
        return {name: tensor * asked.weight for name, tensor in self.tensors.items()}
