"""The base of conditioners whose networks are diffusers'."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from latentry.attention import AttentionBackend
from latentry.conditioners import BaseConditioner
from latentry_diffusers.attention import Routing
from latentry_diffusers.loading.first_weight import FirstWeight


class NetworkConditioner(BaseConditioner):
    """One of diffusers' networks that steers a denoiser; see ``latentry.conditioners.Conditioner``.

    Attributes:
        network: it.
    """

    def __init__(self, part: str, network: Any) -> None:
        self.network, self.networks = network, {part: network}
        self._weight, self._attention = FirstWeight(network), Routing(self.networks)

    @property
    def dtype(self) -> torch.dtype:
        """What the network runs in."""
        return self._weight.dtype

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Serves the network's layers of a role through a backend."""
        if role is not None and role not in self._attention.roles:
            return nullcontext()
        return self._attention.set(backend, role)


def numbered(name: str, tensors: Any) -> Mapping[str, Tensor]:
    """Tensors by injection point: ``NAME.0`` and so on."""
    return {f"{name}.{number}": tensor for number, tensor in enumerate(tensors)}
