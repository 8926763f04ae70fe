"""Tiled denoising: a sample larger than memory holds goes through the network in overlapping parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tiles:
    """Parts of equal size that cover a sample, and the mean of the network's outputs for them, at every evaluation
    (Bar-Tal et al. 2023, MultiDiffusion, arXiv:2302.08113, eq. 5).

    Whatever the scheduler, the guidance and the network, an evaluation answers for the whole sample. Each part counts
    by sin² of the distance from its edges, so that no seam shows.

    Attributes:
        shown: width and height of a part in pixels of the picture.
        whole: height and width of a sample.
        part: height and width of a part of it.
        overlap: the least that neighbours share in each direction, less than the part where there are any.
    """

    shown: tuple[int, int]
    whole: tuple[int, int]
    part: tuple[int, int]
    overlap: int

    def __len__(self) -> int:
        rows, columns = self._places
        return len(rows) * len(columns)

    def __call__(self, x: Tensor, predict: Callable[[Tensor], Tensor]) -> Tensor:
        """The network's output for samples (batch, channels, height, width), in float32 or wider.

        Args:
            x: the samples.
            predict: the network, for samples of the size of a part.
        """
        total = torch.zeros_like(x, dtype=torch.promote_types(x.dtype, torch.float32))
        share, weight = total.new_zeros(self.whole), self._weight(total)
        for rows, columns in self._windows():
            total[..., rows, columns] += weight * predict(x[..., rows, columns].contiguous())
            share[rows, columns] += weight
        return total / share

    def _weight(self, like: Tensor) -> Tensor:
        """(height, width) of a part: positive everywhere, and the more the farther from its edges."""
        down, across = (
            torch.sin(math.pi * (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side) ** 2
            for side in self.part
        )
        return down[:, None] * across

    def _windows(self) -> Iterator[tuple[slice, slice]]:
        rows, columns = self._places
        height, width = self.part
        for top in rows:
            yield from ((slice(top, top + height), slice(left, left + width)) for left in columns)

    @property
    def _places(self) -> tuple[list[int], list[int]]:
        """Where parts begin, evenly spread from edge to edge."""
        down, across = (_spread(whole, part, self.overlap) for whole, part in zip(self.whole, self.part, strict=True))
        return down, across


def _spread(whole: int, part: int, overlap: int) -> list[int]:
    room = whole - part
    gaps = math.ceil(room / max(1, part - overlap))
    return [round(number * room / gaps) for number in range(gaps + 1)] if gaps else [0]
