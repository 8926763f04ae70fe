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
        """Begins a copy to the device. It may be used, or dropped, after ``wait``."""
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
    """Copies on a CUDA stream of its own, into memory of the stream that uses them.

    A copy begins once all work that was queued before it is done: its memory may be that of weights which this work
    uses, and which were dropped since. So a host that runs ahead of the device takes no more of its memory. With memory
    of the copying stream, as ``record_stream`` keeps it, each group would take new memory until the device catches up.

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
        copy = torch.empty_like(pinned, device=self._device)
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            return copy.copy_(pinned, non_blocking=True)

    def wait(self, copies: Iterable[Tensor]) -> None:
        """See ``Ahead``."""
        torch.cuda.current_stream(self._device).wait_stream(self._stream)


def ahead_of(device: torch.device, pinned: Pinned | None = None) -> Ahead | None:
    """How weights are copied ahead to a device; None where copies cannot run beside its work.

    Args:
        device: where to.
        pinned: copies from earlier; None: they are made anew.
    """
    return SideStream(device, pinned or Pinned()) if device.type == "cuda" else None
