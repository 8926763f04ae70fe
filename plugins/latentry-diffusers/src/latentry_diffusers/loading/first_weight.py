"""Reads the dtype and the device of a network without iterating over its parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class FirstWeight:
    """The place of a network's first weight, which stands for all of them as in diffusers' ``ModelMixin.dtype``.

    diffusers iterates over all modules and parameters at each access. The place is looked up once, and what is there is
    read each time: offload and ``upcast`` put other tensors there.

    Args:
        network: a network of diffusers with at least one floating-point weight that need not stay in float32.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        kept = getattr(network, "_keep_in_fp32_modules", None) or ()
        self._members, self._name = next(
            (module._parameters, name)
            for path, module in network.named_modules()
            for name, weight in module._parameters.items()
            if weight is not None and weight.is_floating_point() and {*path.split(".")}.isdisjoint(kept)
        )

    @property
    def dtype(self) -> torch.dtype:
        """What the network runs in; diffusers knows it where weights are stored in 8 bits (``layerwise_casting``)."""
        own = self._now.dtype
        dtype: torch.dtype = self._network.dtype if own.itemsize == 1 else own
        return dtype

    @property
    def device(self) -> torch.device:
        """Where the network is now."""
        return self._now.device

    @property
    def _now(self) -> Tensor:
        weight: Tensor = self._members[self._name]
        return weight
