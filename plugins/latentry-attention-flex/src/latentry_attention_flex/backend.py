"""torch's flex_attention, which generates its kernel from a function of the scores."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from latentry.attention import contiguous_rows, masked_rows, score_bias

ScoreChange = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""Changes a score, given the indices of batch, head, token and key."""


class FlexAttention:
    """softmax(q·kᵀ·scale + mask)·v, compiled by torch on CUDA: the first call of each kind takes seconds.

    On the CPU the same operator runs eagerly, with all scores in memory: ``flex_attention`` itself would trace it with
    the compiler for no benefit, and show a warning.
    """

    def __init__(self) -> None:
        self._compiled: Callable[..., Any] | None = None

    def probe(self) -> str | None:
        """What is missing; None if this torch has ``flex_attention``."""
        here = find_spec("torch.nn.attention.flex_attention") is not None
        return None if here else f"torch {torch.__version__} has no flex_attention."

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
        bias = score_bias(q, k, mask=mask, causal=False)
        change = _change(None if bias is None else _full(bias, q, k), causal)
        scale = 1.0 / q.shape[-1] ** 0.5 if scale is None else scale
        rows = contiguous_rows(q, k, v)
        out = self._on_cuda(*rows, change, scale) if q.is_cuda else _eager(*rows, change, scale)
        return out if bias is None else out.masked_fill(masked_rows(bias), 0.0)

    def _on_cuda(self, q: Tensor, k: Tensor, v: Tensor, change: ScoreChange, scale: float) -> Tensor:
        if self._compiled is None:
            from torch.nn.attention.flex_attention import flex_attention

            self._compiled = torch.compile(flex_attention, dynamic=True)
        out: Tensor = self._compiled(q, k, v, score_mod=change, scale=scale)
        return out


def _eager(q: Tensor, k: Tensor, v: Tensor, change: ScoreChange, scale: float) -> Tensor:
    """Calls the operator directly, with one block for all tokens and keys."""
    from torch.nn.attention.flex_attention import BlockMask

    one = torch.ones(1, 1, 1, dtype=torch.int32, device=q.device)
    everything = BlockMask.from_kv_blocks(one, 0 * one[..., None], BLOCK_SIZE=1 << 30, seq_lengths=(1, 1))
    operator = torch.ops.higher_order.flex_attention
    out: Tensor = operator(q, k, v, change, everything.as_tuple(), scale, {})[0]
    return out


def _full(bias: Tensor, q: Tensor, k: Tensor) -> Tensor:
    return bias.expand(*q.shape[:3], k.shape[2])


def _change(bias: Tensor | None, causal: bool) -> ScoreChange:
    def change(score: Tensor, batch: Tensor, head: Tensor, token: Tensor, key: Tensor) -> Tensor:
        if bias is not None:
            score = score + bias[batch, head, token, key]
        return torch.where(token >= key, score, -torch.inf) if causal else score

    return change
