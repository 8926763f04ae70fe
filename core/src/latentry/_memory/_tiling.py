"""When pictures go through the autoencoder in tiles."""

from __future__ import annotations

import os

import torch

from latentry._errors import OptionError
from latentry._request._memory_policy import Tiling

TILE = 512
"""Default side in pixels."""
VALUES = 770
"""Peak number of values per pixel that the decoder of Stable Diffusion, SDXL, SD3 and FLUX holds at once (128 to 512
channels, two layers a block), counted while it ran at 256 to 1024 pixels."""
SHARE = 0.5
"""Of the device's memory; the rest is for weights and the workspace of convolutions."""


def choose_tile(asked: Tiling, pixels: int, least: int, *, size: int, memory: int | None) -> int | None:
    """The side of tiles in pixels; None for no tiles.

    ``auto`` uses tiles where the pictures that go through together would take more than half of the memory, at
    ``VALUES`` per pixel.

    Args:
        asked: true, false, ``auto``, or a side in pixels.
        pixels: of all pictures that go through together.
        least: tiles must be a multiple of it, in pixels.
        size: bytes per value in the autoencoder's dtype.
        memory: of the device in bytes; None where that is not known, which counts as enough.

    Raises:
        OptionError: tiles of that side are not possible.
    """
    if asked == "auto":
        asked = memory is not None and VALUES * size * pixels > SHARE * memory
    if isinstance(asked, bool):
        return TILE if asked else None
    if asked < least or asked % least:
        raise OptionError(
            f"Tiles of {asked} pixels are not possible with this model.",
            remedy=f"Use a multiple of {least} pixels.",
            field="vae_tiling",
        )
    return int(asked)


def memory_of(device: torch.device) -> int | None:
    """Total memory of a device in bytes, used or not: the decision must not depend on what else is running."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    if device.type == "cpu" and hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None
