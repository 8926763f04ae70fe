"""A network in another dtype for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from latentry._memory._blocks import slots_of


@contextmanager
def upcast(network: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Runs a network with copies of its weights in another dtype; at the end it has its own tensors again.

    Args:
        network: must be used by one thread only.
        dtype: of the copies.
    """
    slots = [slot for slot in slots_of(network.modules()) if slot.tensor.is_floating_point()]
    try:
        for members, name, tensor in slots:
            members[name] = tensor.to(dtype)
        yield
    finally:
        for members, name, tensor in slots:
            members[name] = tensor
