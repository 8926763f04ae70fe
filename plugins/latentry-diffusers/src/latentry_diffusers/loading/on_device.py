"""Numbers of the host for a device, which the host does not wait for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def on_device(numbers: Sequence[int] | Sequence[Sequence[float]], device: torch.device, dtype: torch.dtype) -> Tensor:
    """A tensor of numbers on a device. From memory that is not pinned, a copy to CUDA would wait for its work."""
    host = torch.tensor(numbers, dtype=dtype)
    return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host.to(device)
