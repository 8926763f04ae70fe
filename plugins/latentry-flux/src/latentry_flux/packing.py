"""Where each token of FLUX.1's transformer is; a token is 2 × 2 latents."""

from __future__ import annotations

import torch
from torch import Tensor

from latentry_diffusers.model.packing import PATCH, pack, unpack

__all__ = ["PATCH", "pack", "positions", "text_positions", "unpack"]

AXES = 3
"""How many coordinates a position has: 0, row and column."""


def positions(height: int, width: int, device: torch.device) -> Tensor:
    """(0, row, column) of each token of latents (…, height, width): (tokens, 3)."""
    sides = (torch.arange(side // PATCH, device=device) for side in (height, width))
    return torch.cartesian_prod(torch.zeros(1, dtype=torch.int64, device=device), *sides)


def text_positions(tokens: int, device: torch.device) -> Tensor:
    """Zeros (tokens, 3): a text's tokens are in no place."""
    return torch.zeros((tokens, AXES), dtype=torch.int64, device=device)
