"""Copies to a device that run beside its work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor


class Ahead(Protocol):
    """Copies weights before they are needed."""

    def begin(self, tensor: Tensor) -> Tensor:
        """Begins a copy to the device. It may be used after ``wait``."""
        ...

    def wait(self, copies: Iterable[Tensor]) -> None:
        """Has the device's next work wait for copies; the host does not wait."""
        ...


class SideStream:
    """Copies on a CUDA stream of its own, out of pinned memory, in which each weight is kept once it was copied.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pinned: dict[int, tuple[Tensor, Tensor]] = {}

    def begin(self, tensor: Tensor) -> Tensor:
        """See ``Ahead``. From memory that is not pinned, the copy would hold up the host."""
        if id(tensor) not in self._pinned:  # the original is kept too, so that its id stays its own
            self._pinned[id(tensor)] = tensor, tensor.detach().pin_memory()
        with torch.cuda.stream(self._stream):
            return self._pinned[id(tensor)][1].to(self._device, non_blocking=True)

    def wait(self, copies: Iterable[Tensor]) -> None:
        """See ``Ahead``."""
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._stream)
        for copy in copies:  # its memory must not be given away while the current stream uses it
            copy.record_stream(current)


def ahead_of(device: torch.device) -> Ahead | None:
    """How weights are copied ahead to a device; None where copies cannot run beside its work."""
    return SideStream(device) if device.type == "cuda" else None
