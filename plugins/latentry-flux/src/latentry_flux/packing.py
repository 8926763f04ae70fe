"""Where each token of FLUX.1's transformer is; a token is 2 × 2 latents."""

from __future__ import annotations

import torch
from torch import Tensor

from latentry_diffusers.model.packing import PATCH, pack, unpack

__all__ = ["PATCH", "pack", "positions", "unpack"]


def positions(height: int, width: int, device: torch.device) -> Tensor:
    """(0, row, column) of each token of latents (…, height, width): (tokens, 3)."""
    sides = (torch.arange(side // PATCH, device=device) for side in (height, width))
    return torch.cartesian_prod(torch.zeros(1, dtype=torch.int64, device=device), *sides)
