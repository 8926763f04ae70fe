"""The package ``xformers``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import Tensor

from latentry.attention import contiguous_rows, gpu_problem, masked_rows, package_problem, padded_bias, score_bias

PASCAL = (6, 0)


class XFormers:
    """softmax(q·kᵀ·scale + mask)·v with the kernel that xformers selects.

    ``memory_efficient_attention(query, key, value, attn_bias=…, scale=…)`` takes (batch, tokens, heads, head size), and
    the bias as (batch, heads, tokens, keys) with rows aligned to 16 bytes.
    """

    def probe(self) -> str | None:
        """What is missing: a GPU, or the package.

        Raises:
            PluginError: the package is installed but cannot be imported.
        """
        install = "pip install latentry-attention-xformers[cuda]"
        return gpu_problem(PASCAL) or package_problem("xformers.ops", "memory_efficient_attention", install=install)

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
        ops: Any = import_module("xformers.ops")
        square = causal and mask is None and q.shape[2] == k.shape[2]
        bias = None if square else score_bias(q, k, mask=mask, causal=causal)
        attn_bias = ops.LowerTriangularMask() if square else None if bias is None else padded_bias(bias, q, k)
        rows = contiguous_rows(*(tensor.transpose(1, 2) for tensor in (q, k, v)))
        out: Tensor = ops.memory_efficient_attention(*rows, attn_bias=attn_bias, scale=scale).transpose(1, 2)
        return out if bias is None else out.masked_fill(masked_rows(bias), 0.0)
