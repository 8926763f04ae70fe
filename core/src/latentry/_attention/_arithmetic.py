"""Attention by its definition, and pieces that backends share. Shapes are (batch, heads, tokens, head size)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Kernel = Callable[[Tensor, Tensor, Tensor, bool], Tensor]
"""Attention of q, k, v without a mask, causal or not."""


def default_scale(head_size: int) -> float:
    """1/√(head size)."""
    return 1.0 / math.sqrt(head_size)


def score_bias(q: Tensor, k: Tensor, *, mask: Tensor | None, causal: bool) -> Tensor | None:
    """The mask and causality as one bias on the scores, −∞ where a key is masked.

    Args:
        q: (batch, heads, tokens, head size); the bias has its dtype.
        k: (batch, heads, keys, head size).
        mask: boolean (True takes part) or added to the scores; None for none.
        causal: token i attends to keys 0..i.

    Returns:
        Broadcastable to (batch, heads, tokens, keys); None where no key is masked.
    """
    if mask is not None and mask.dtype == torch.bool:
        mask = q.new_zeros(()).masked_fill(~mask, -torch.inf)
    if causal:
        later = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).triu(1)
        mask = q.new_zeros(()).masked_fill(later, -torch.inf) if mask is None else mask.masked_fill(later, -torch.inf)
    return None if mask is None else mask.to(q.dtype)


def contiguous_rows(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v with a contiguous last dimension, which kernels need; some read wrong values without it."""
    q, k, v = (tensor if tensor.stride(-1) == 1 else tensor.contiguous() for tensor in (q, k, v))
    return q, k, v


def padded_bias(bias: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """A bias in its full shape (batch, heads, tokens, keys), each row aligned to 16 bytes, which kernels need."""
    keys = k.shape[2]
    bias = bias[(None,) * (4 - bias.dim())].expand(-1, -1, q.shape[2], keys)
    return functional.pad(bias, (0, -keys % 8))[..., :keys].expand(*q.shape[:2], -1, -1)


def masked_rows(bias: Tensor) -> Tensor:
    """True where a row of the bias masks every key: (…, tokens or 1, 1), boolean."""
    return (bias == -torch.inf).all(dim=-1, keepdim=True)


def causal_by_squares(kernel: Kernel, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention for any number of keys, from a kernel that is causal for equal numbers of tokens and keys."""
    tokens, keys = q.shape[2], k.shape[2]
    if tokens <= keys:
        return kernel(q, k[:, :, :tokens], v[:, :, :tokens], True)
    return torch.cat([kernel(q[:, :, :keys], k, v, True), kernel(q[:, :, keys:], k, v, False)], dim=2)


def eager_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    scale: float | None = None,
    causal: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """softmax(q·kᵀ·scale + mask)·v (Vaswani et al. 2017, arXiv:1706.03762, eq. 1), computed and returned in ``dtype``.

    Arguments are those of ``AttentionBackend.attend``. A row whose keys are all masked is 0.
    """
    q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)
    scores = q * (default_scale(q.shape[-1]) if scale is None else scale) @ k.transpose(-1, -2)
    bias = score_bias(q, k, mask=mask, causal=causal)
    if bias is None:
        return torch.softmax(scores, dim=-1) @ v
    scores = scores + bias
    return torch.softmax(scores, dim=-1).masked_fill(masked_rows(scores), 0.0) @ v


class EagerAttention:
    """The reference as a backend: all scores in memory at once, in float64 or float32.

    Args:
        dtype: what it computes in; the result is in the dtype of q.
    """

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        self._dtype = dtype

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
        """See ``latentry.attention.AttentionBackend``."""
        # Apple's GPUs, for one, have no float64
        dtype = self._dtype if q.device.type in ("cpu", "cuda") else torch.float32
        return eager_attention(q, k, v, mask=mask, scale=scale, causal=causal, dtype=dtype).to(q.dtype)
