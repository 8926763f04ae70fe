"""Copies to a device that run beside its work."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary


class Ahead(Protocol):
    """Copies weights before they are needed."""

    def begin(self, tensor: Tensor) -> Tensor:
        """Begins a copy to the device. It may be used after ``wait``."""
        ...

    def wait(self, copies: Iterable[Tensor]) -> None:
        """Has the device's next work wait for copies; the host does not wait."""
        ...


class Pinned:
    """Copies of weights in pinned memory, each kept for as long as the weight itself: pinning takes seconds.

    Args:
        pin: makes such a copy.
    """

    def __init__(self, pin: Callable[[Tensor], Tensor] = Tensor.pin_memory) -> None:
        self._pin = pin
        self._copies = WeakTensorKeyDictionary()
        self._worn: Hashable = None

    def under(self, loras: Hashable) -> Pinned:
        """Itself, emptied where other LoRAs were worn before: a merged one changes weights."""
        if loras != self._worn:
            self._copies.clear()
        self._worn = loras
        return self

    def copy(self, tensor: Tensor) -> Tensor:
        """The copy of a weight."""
        if tensor not in self._copies:
            self._copies[tensor] = self._pin(tensor.detach())
        kept: Tensor = self._copies[tensor]
        return kept


class SideStream:
    """Copies on a CUDA stream of its own.

    Args:
        device: a CUDA device.
        pinned: where copies come from; from memory that is not pinned, they would hold up the host.
    """

    def __init__(self, device: torch.device, pinned: Pinned) -> None:
        self._device, self._pinned = device, pinned
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def begin(self, tensor: Tensor) -> Tensor:
        """See ``Ahead``."""
        pinned = self._pinned.copy(tensor)
        with torch.cuda.stream(self._stream):
            return pinned.to(self._device, non_blocking=True)

    def wait(self, copies: Iterable[Tensor]) -> None:
        """See ``Ahead``."""
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._stream)
        for copy in copies:  # its memory must not be given away while the current stream uses it
            copy.record_stream(current)


def ahead_of(device: torch.device, pinned: Pinned | None = None) -> Ahead | None:
    """How weights are copied ahead to a device; None where copies cannot run beside its work.

    Args:
        device: where to.
        pinned: copies from earlier; None: they are made anew.
    """
    return SideStream(device, pinned or Pinned()) if device.type == "cuda" else None
