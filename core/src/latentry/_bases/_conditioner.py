"""What conditioners of plain networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from latentry._bases._attention import AttentionSlot, set_slots
from latentry._contract._conditioner import Inject
from latentry._contract._model import AttentionBackend, Model


class BaseConditioner(ABC):
    """A conditioner in memory, and its own checkpoint where it has no weights to load.

    A conditioner adds ``prepare``. Attention is served where its networks call an ``AttentionSlot``.

    Attributes:
        networks: by name.
    """

    networks: Mapping[str, nn.Module] = MappingProxyType({})

    def load(self, device: torch.device, dtype: torch.dtype) -> BaseConditioner:
        """Itself; overridden where weights are loaded."""
        return self

    @abstractmethod
    def prepare(self, model: Model, picture: Tensor, options: Any, number: int) -> Inject:
        """What is the same for a whole request; see ``latentry.conditioners.Conditioner``."""

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Serves the networks' ``AttentionSlot``s."""
        slots = (module for network in self.networks.values() for module in network.modules())
        weight = next((each for network in self.networks.values() for each in network.parameters()), None)
        if weight is None or role not in {None, *(slot.role for slot in slots if isinstance(slot, AttentionSlot))}:
            return nullcontext()
        return set_slots(self.networks.values(), backend, role, weight.device, weight.dtype)
