"""Which weights are on the device at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from latentry._memory._ahead import Ahead

Move = Callable[[Tensor, torch.device], Tensor]
"""Returns a copy of a tensor on a device."""
Copies = dict[int, Tensor]
"""Copies of tensors by the originals' ids."""


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
        copies: Copies = {}
        for members, name, tensor in self._slots:
            if id(tensor) not in copies:
                copies[id(tensor)] = move(tensor, device)
            members[name] = copies[id(tensor)]

    def copies(self, copy: Callable[[Tensor], Tensor]) -> Copies:
        """Copies of its tensors, which are not put in their places yet."""
        tensors = {id(slot.tensor): slot.tensor for slot in self._slots}
        return {key: copy(tensor) for key, tensor in tensors.items()}

    def place(self, copies: Copies) -> None:
        """Puts such copies in their places."""
        for members, name, tensor in self._slots:
            members[name] = copies[id(tensor)]

    def unload(self) -> None:
        """Puts the originals back."""
        for members, name, tensor in self._slots:
            members[name] = tensor


class Residency:
    """Keeps only those groups on the device that are needed now, and the next one where it is copied ahead.

    Args:
        device: where networks run.
        move: copies weights there.
        ahead: copies the group that followed the last time, while the present one is used; None: nothing is.
    """

    def __init__(self, device: torch.device, move: Move = to_device, ahead: Ahead | None = None) -> None:
        self.device = device
        self._move, self._ahead = move, ahead
        self._here: tuple[Group, ...] = ()
        self._followers: dict[Group, Group] = {}
        self._coming: tuple[Group, Copies] | None = None

    def require(self, *groups: Group) -> None:
        """Unloads all other groups, and then loads those of these that are missing."""
        if groups == self._here:
            return
        missing = [group for group in groups if group not in self._here]
        if self._here:
            self._followers[self._here[-1]] = groups[-1]
        for group in self._here:
            if group not in groups:
                group.unload()
        self._here = groups
        try:
            for group in missing:
                self._load(group)
            self._look_ahead()
        except BaseException:
            self.clear()
            raise

    def _load(self, group: Group) -> None:
        coming = self._arrived()
        if coming is not None and coming[0] is group:
            group.place(coming[1])
        else:  # what was expected and is not needed is let go
            group.load(self.device, self._move)

    def _arrived(self) -> tuple[Group, Copies] | None:
        """What was expected, once the device waits for it: its memory may be used for something else from then on."""
        coming, self._coming = self._coming, None
        if self._ahead is not None:
            self._ahead.wait(() if coming is None else coming[1].values())
        return coming

    def _look_ahead(self) -> None:
        following = self._followers.get(self._here[-1])
        if self._ahead is not None and following is not None and following not in self._here:
            self._coming = following, following.copies(self._ahead.begin)

    def clear(self) -> None:
        """Unloads all groups."""
        for group in self._here:
            group.unload()
        self._here = ()
        self._arrived()  # also where copies failed halfway
