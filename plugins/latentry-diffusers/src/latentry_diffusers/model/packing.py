"""Latents as some transformers take them: each 2 × 2 of them one token."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

PATCH = 2
"""Latents along each side of one token."""


def pack(latents: Tensor) -> Tensor:
    """Tokens (batch, h/2 · w/2, 4·c), row by row, of latents (batch, c, h, w); a token lists channel by channel."""
    return pixel_unshuffle(latents, PATCH).flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """Latents (batch, c, height, width) of tokens (batch, height/2 · width/2, 4·c)."""
    channels = tokens.transpose(1, 2)
    return pixel_shuffle(channels.reshape(*channels.shape[:2], height // PATCH, width // PATCH), PATCH)
