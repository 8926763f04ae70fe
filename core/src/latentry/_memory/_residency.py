"""Which weights are on the device at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Move = Callable[[Tensor, torch.device], Tensor]
"""Returns a copy of a tensor on a device."""


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """``Tensor.to``."""
    return tensor.to(device)


class Slot(NamedTuple):
    """Where a module holds a tensor.

    Attributes:
        members: the module's own dict of parameters or buffers.
        name: its key there.
        tensor: the original, in main memory.
    """

    members: dict[str, Any]
    name: str
    tensor: Tensor


class Group:
    """Weights that move together. Copies take their places on the device, as in ``torch.func.functional_call``: the
    originals are never touched, nothing is copied back, and no bit can change.

    Args:
        slots: where they are; a tensor in several slots is copied once.
    """

    def __init__(self, slots: Iterable[Slot]) -> None:
        self._slots = tuple(slots)

    def load(self, device: torch.device, move: Move) -> None:
        """Puts copies on the device in their places."""
        copies: dict[int, Tensor] = {}
        for members, name, tensor in self._slots:
            if id(tensor) not in copies:
                copies[id(tensor)] = move(tensor, device)
            members[name] = copies[id(tensor)]

    def unload(self) -> None:
        """Puts the originals back."""
        for members, name, tensor in self._slots:
            members[name] = tensor


class Residency:
    """Keeps only those groups on the device that are needed now.

    Args:
        device: where networks run.
        move: copies weights there.
    """

    def __init__(self, device: torch.device, move: Move = to_device) -> None:
        self.device = device
        self._move = move
        self._here: tuple[Group, ...] = ()

    def require(self, *groups: Group) -> None:
        """Unloads all other groups, and then loads those of these that are missing."""
        if groups == self._here:
            return
        missing = [group for group in groups if group not in self._here]
        for group in self._here:
            if group not in groups:
                group.unload()
        self._here = groups
        try:
            for group in missing:
                group.load(self.device, self._move)
        except BaseException:
            self.clear()
            raise

    def clear(self) -> None:
        """Unloads all groups."""
        for group in self._here:
            group.unload()
        self._here = ()
