"""When pictures go through the autoencoder in tiles."""

from __future__ import annotations

import os

import torch

from latentry._errors import OptionError
from latentry._request._memory_policy import Tiling

TILE = 512
"""Side in pixels, where none is asked for."""
VALUES = 770
"""Numbers for each pixel that the decoder of Stable Diffusion, SDXL, SD3 and FLUX holds at once (128 to 512 channels,
two layers a block): the most that are alive together, counted over its run at 256 to 1024 pixels."""
SHARE = 0.5
"""Of the device's memory: the rest is for weights and for what convolutions work with."""


def choose_tile(asked: Tiling, pixels: int, least: int, *, size: int, memory: int | None) -> int | None:
    """The side of tiles in pixels; None where pictures go through whole.

    ``auto`` tiles where the pictures that go through together would take more than half of the memory: ``VALUES`` for
    each pixel.

    Args:
        asked: what is wanted.
        pixels: of the pictures that go through together.
        least: what tiles are multiples of.
        size: bytes of a number in the autoencoder's dtype.
        memory: bytes of the device; None where that is not known, which counts as enough.

    Raises:
        OptionError: tiles of such a side cannot be.
    """
    if asked == "auto":
        asked = memory is not None and VALUES * size * pixels > SHARE * memory
    if isinstance(asked, bool):
        return TILE if asked else None
    if asked < least or asked % least:
        raise OptionError(f"Tiles of {asked} pixels cannot be.", remedy=f"Give a multiple of {least} pixels.")
    return int(asked)


def memory_of(device: torch.device) -> int | None:
    """All bytes of a device, used or not, so that a machine decides alike whatever else it does."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    if device.type == "cpu" and hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None
