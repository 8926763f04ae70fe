"""Splits projections (batch, tokens, heads × head size) into heads (batch, heads, tokens, head size), and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Part = Callable[[Tensor], Tensor]


def split(project: Part, states: Tensor, heads: int, norm: Part | None = None) -> Tensor:
    """Splits a projection into heads (batch, heads, tokens, head size), and applies the layer's norm if it has one."""
    whole = project(states)
    parts = whole.view(*whole.shape[:-1], heads, -1).transpose(1, 2)
    return parts if norm is None else norm(parts)


def own_heads(attn: Any, states: Tensor, query: Callable[[Part], Part]) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v of a layer's own states, with the projection to queries changed by ``query``."""
    return (
        split(query(attn.to_q), states, attn.heads, attn.norm_q),
        split(attn.to_k, states, attn.heads, attn.norm_k),
        split(attn.to_v, states, attn.heads),
    )


def text_heads(attn: Any, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v of the text, which has projections and norms of its own."""
    return (
        split(attn.add_q_proj, states, attn.heads, attn.norm_added_q),
        split(attn.add_k_proj, states, attn.heads, attn.norm_added_k),
        split(attn.add_v_proj, states, attn.heads),
    )


def turned(x: Tensor, turns: Tensor) -> Tensor:
    """Neighbouring values of (…, tokens, head size) as complex numbers, times e^(iφ) of each token's position."""
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns).flatten(-2).type_as(x)


def joined(heads: Tensor, dtype: torch.dtype) -> Tensor:
    """Joins heads to (batch, tokens, heads × head size), in a dtype."""
    return heads.transpose(1, 2).flatten(2).to(dtype)
