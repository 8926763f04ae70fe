"""Attention in slices of rows or heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor

from latentry import OptionError
from latentry.attention import masked_rows
from latentry_attention_sliced.memory import free_memory

By = Literal["rows", "heads"]
Piece = tuple[slice, slice, slice]
"""Slices of batch, heads and tokens."""

MOST_ON_CPU, MOST_ELSEWHERE = 2**24, 2**28
"""Most bytes that the scores of a slice of rows take by default; larger slices are not faster."""
SHARE = 8
"""The scores take at most the free memory divided by this; three copies of them exist at a time."""


class Sliced:
    """softmax(q·kᵀ·scale + mask)·v for some rows of q, or some heads, at a time.

    Each row is computed with all its keys at once, so that the result is exact. Scores and softmax are at least
    float32.

    Args:
        by: ``rows`` slices the tokens of q: memory is linear in the tokens. ``heads`` slices batch × heads: memory is
            still quadratic in the tokens, and divided by the number of slices.
        size: rows or heads per slice; None chooses by the free memory.

    Raises:
        OptionError: neither rows nor heads, or a size below 1.
    """

    def __init__(self, by: By = "rows", size: int | None = None) -> None:
        if by not in get_args(By):
            raise OptionError(f"Attention cannot be sliced by {by!r}.", remedy=f"Use {' or '.join(get_args(By))}.")
        if size is not None and size < 1:
            raise OptionError(f"A slice cannot have {size} {by}.", remedy="Use 1 or more, or leave the size out.")
        self._by, self._size = by, size

    def probe(self) -> str | None:
        """Always available."""
        return None

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        mask: Tensor | None = None,
        scale: float | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Computes attention; ``latentry.attention.AttentionBackend`` defines the arguments."""
        wide = torch.promote_types(q.dtype, torch.float32)
        scale = 1.0 / q.shape[-1] ** 0.5 if scale is None else scale
        keys, values = k.to(wide).transpose(-1, -2), v.to(wide)
        out = q.new_empty((*q.shape[:-1], v.shape[-1]))
        for piece in self._slices(q, k, wide):
            batches, heads, _ = piece
            scores = (q[piece].to(wide) * scale) @ keys[batches, heads]
            weights = _softmax(scores, None if mask is None else _part(mask, piece), piece[2].start if causal else None)
            out[piece] = (weights @ values[batches, heads]).to(q.dtype)
        return out

    def _slices(self, q: Tensor, k: Tensor, wide: torch.dtype) -> Iterator[Piece]:
        """Slices that cover q."""
        batch, heads, tokens, _ = q.shape
        everything = slice(0, None)
        if self._by == "rows":
            most = MOST_ON_CPU if q.device.type == "cpu" else MOST_ELSEWHERE
            size = self._size or _fitting(q, batch * heads * k.shape[2] * wide.itemsize, most)
            yield from ((everything, everything, slice(at, at + size)) for at in range(0, tokens, size))
            return
        size = self._size or _fitting(q, tokens * k.shape[2] * wide.itemsize, None)
        for number in range(batch):
            yield from ((slice(number, number + 1), slice(at, at + size), everything) for at in range(0, heads, size))


def _fitting(q: Tensor, each: int, most: int | None) -> int:
    """How many rows or heads a slice may have, at ``each`` bytes of scores per row or head."""
    free = free_memory(q.device)
    limits = [limit for limit in (most, None if free is None else free // SHARE) if limit is not None]
    return max(1, min(limits, default=MOST_ELSEWHERE) // each)


def _part(mask: Tensor, piece: Piece) -> Tensor:
    """The part of a mask for a slice; dimensions that broadcast stay as they are."""
    mask = mask[(None,) * (4 - mask.dim())]
    return mask[tuple(cut if size > 1 else slice(None) for cut, size in zip(piece, mask.shape, strict=False))]


def _softmax(scores: Tensor, mask: Tensor | None, first: int | None) -> Tensor:
    """The weights of each row; 0 where all its keys are masked.

    Args:
        scores: (batch, heads, rows, keys); modified in place.
        mask: boolean, or added to the scores; None for no mask.
        first: index of the first row, for causal attention; None without causality.
    """
    if mask is not None and mask.dtype == torch.bool:
        scores.masked_fill_(~mask, -torch.inf)
    elif mask is not None:
        scores += mask
    if first is not None:
        rows, keys = (torch.arange(size, device=scores.device) for size in scores.shape[-2:])
        scores.masked_fill_(keys > first + rows[:, None], -torch.inf)
    weights = torch.softmax(scores, dim=-1)
    return weights if mask is None else weights.masked_fill_(masked_rows(scores), 0.0)
