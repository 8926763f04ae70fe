"""Which weights are on the device at present."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Move = Callable[[Tensor, torch.device], Tensor]
"""Gives a copy of a tensor on a device."""


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """torch's own way."""
    return tensor.to(device)


class Slot(NamedTuple):
    """Where a module holds a tensor.

    Attributes:
        members: the module's own table of parameters or of buffers.
        name: in it.
        tensor: what it holds at home.
    """

    members: dict[str, Any]
    name: str
    tensor: Tensor


class Group:
    """Weights that move together. On the device copies take their places, as in ``torch.func.functional_call``: what
    is at home is never touched, nothing is copied on the way back, and no bit can change.

    Args:
        slots: their places; a tensor in several of them is moved once.
    """

    def __init__(self, slots: Iterable[Slot]) -> None:
        self._slots = tuple(slots)

    def load(self, device: torch.device, move: Move) -> None:
        """Onto the device."""
        copies: dict[int, Tensor] = {}
        for members, name, tensor in self._slots:
            if id(tensor) not in copies:
                copies[id(tensor)] = move(tensor, device)
            members[name] = copies[id(tensor)]

    def unload(self) -> None:
        """Home; what has not left it stays."""
        for members, name, tensor in self._slots:
            members[name] = tensor


class Residency:
    """Which groups are on the device: those that are needed now and no others.

    Args:
        device: where networks run.
        move: how weights come there.
    """

    def __init__(self, device: torch.device, move: Move = to_device) -> None:
        self.device = device
        self._move = move
        self._here: tuple[Group, ...] = ()

    def require(self, *groups: Group) -> None:
        """Sends home what is not among the groups, and then brings what is missing of them."""
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
        """Leaves nothing on the device."""
        for group in self._here:
            group.unload()
        self._here = ()
