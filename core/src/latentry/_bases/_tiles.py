"""Pictures that go through an autoencoder in overlapping tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product

import torch
from torch import Tensor

OVERLAP = Fraction(1, 4)
"""Of a tile's side, with the next one."""


def in_tiles(network: Callable[[Tensor], Tensor], x: Tensor, side: int) -> Tensor:
    """What a network makes of square tiles, blended where they overlap; the whole at once where one tile holds it.

    Args:
        network: takes (batch, channels, h, w), and returns sides that are all the same multiple or fraction of these.
        x: (batch, channels, height, width).
        side: of the tiles, in positions of x.
    """
    height, width = x.shape[-2:]
    if max(height, width) <= side:
        return network(x)
    corner = network(x[..., :side, :side])
    ratio = Fraction(corner.shape[-1], min(side, width))
    rows, columns = (_starts(length, side, ratio.denominator) for length in (height, width))
    total = corner.new_zeros(*corner.shape[:2], int(height * ratio), int(width * ratio))
    weights = corner.new_zeros(total.shape[-2:])
    for top, left in product(rows, columns):
        tile = corner if top == left == 0 else network(x[..., top : top + side, left : left + side])
        ramps = [_ramp(length, tile) for length in tile.shape[-2:]]
        weight = ramps[0][:, None] * ramps[1]
        down, right = int(top * ratio), int(left * ratio)
        place = (..., slice(down, down + tile.shape[-2]), slice(right, right + tile.shape[-1]))
        total[place] += weight * tile
        weights[place] += weight
    return total / weights


def _starts(length: int, side: int, multiple: int) -> Sequence[int]:
    """Where tiles begin: all of one size, the last one at the end, each at a multiple."""
    if length <= side:
        return (0,)
    stride = max(multiple, int(side * (1 - OVERLAP)) // multiple * multiple)
    return (*range(0, length - side, stride), length - side)


def _ramp(length: int, like: Tensor) -> Tensor:
    """Weights that rise from both ends to 1 in the middle."""
    from_ends = torch.arange(1, length + 1, device=like.device)
    rise = max(1, int(length * OVERLAP))
    return torch.minimum(from_ends, from_ends.flip(0)).clamp(max=rise).to(like.dtype) / rise
