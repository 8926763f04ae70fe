"""How much memory a device has free."""

from __future__ import annotations

import os

import torch


def free_memory(device: torch.device) -> int | None:
    """Free memory of a device in bytes; None where the system does not report it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf, and macOS does not have this name
        return None
