"""torch's attention kernels, each through its own operator. Shapes are (batch, heads, tokens, head size)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from latentry import IncompatibleError
from latentry.attention import causal_by_squares, contiguous_rows, masked_rows, padded_bias, score_bias

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None, float | None, bool], Tensor]
"""Attention of q, k, v with a mask, a scale and causality."""
Unmasked = Callable[[Tensor, Tensor, Tensor, bool], Tensor]
"""Attention of q, k, v without a mask; causal where the last argument is True."""

ON_CUDA = frozenset({"efficient", "cudnn"})
HALF = (torch.float16, torch.bfloat16)
WIDEST = 256
"""Largest head size of the flash and cuDNN kernels."""


def auto(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None, causal: bool) -> Tensor:
    """Lets torch choose. Its function takes a mask or causality but not both, so they become one mask."""
    if mask is not None and causal:
        mask, causal = score_bias(q, k, mask=mask, causal=True), False
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, scale=scale)


def math(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None, causal: bool) -> Tensor:
    """Two matrix products with a softmax between them; all scores are in memory."""
    bias = score_bias(q, k, mask=mask, causal=causal)
    out: Tensor = torch.ops.aten._scaled_dot_product_attention_math(q, k, v, bias, scale=scale)[0]
    return out


def flash(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None, causal: bool) -> Tensor:
    """FlashAttention (Dao 2023, arXiv:2307.08691); on CUDA no masks, half precision, and head sizes up to 256."""
    if q.device.type == "cpu":
        return _flash_on_cpu(*contiguous_rows(q, k, v), score_bias(q, k, mask=mask, causal=causal), scale)
    _need_half(q, "flash")
    if mask is not None:
        raise _cannot("flash", "It does not support masks on CUDA.")
    own = _scale(q, scale)

    def kernel(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        out: Tensor = torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, 0.0, causal, scale=own)[0]
        return out

    return _padded_to_eight(kernel, q, k, v, causal)


def _flash_on_cpu(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float | None) -> Tensor:
    out: Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, attn_mask=bias, scale=scale)[0]
    return out


def efficient(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None, causal: bool) -> Tensor:
    """Memory-efficient attention (Rabe and Staats 2021, arXiv:2112.05682); masks, and any head size."""
    _need_cuda(q, "efficient")
    bias = _bias(q, k, mask, causal)
    q, k, v = contiguous_rows(q, k, v)
    out: Tensor = torch.ops.aten._scaled_dot_product_efficient_attention(
        q, k, v, bias, False, 0.0, causal and bias is None, scale=scale
    )[0]
    return out if bias is None else out.masked_fill(masked_rows(bias), 0.0)


def cudnn(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None, causal: bool) -> Tensor:
    """NVIDIA's kernel, in half precision."""
    _need_half(q, "cudnn")
    bias, own = _bias(q, k, mask, causal), _scale(q, scale)

    def kernel(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        out: Tensor = torch.ops.aten._scaled_dot_product_cudnn_attention(
            q, k, v, bias, False, 0.0, causal, False, scale=own
        )[0]
        return out

    out = _padded_to_eight(kernel, q, k, v, causal and bias is None)
    return out if bias is None else out.masked_fill(masked_rows(bias), 0.0)


def _bias(q: Tensor, k: Tensor, mask: Tensor | None, causal: bool) -> Tensor | None:
    """Mask and causality as one bias for CUDA's kernels; None without a mask, since the kernels handle causality."""
    bias = None if mask is None else score_bias(q, k, mask=mask, causal=causal)
    return None if bias is None else padded_bias(bias, q, k)


def _padded_to_eight(kernel: Unmasked, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """Calls a kernel that needs a head size divisible by 8, and is causal only for equal numbers of tokens and keys."""
    size = q.shape[-1]
    q, k, v = contiguous_rows(*(functional.pad(tensor, (0, -size % 8)) for tensor in (q, k, v)))
    return (causal_by_squares(kernel, q, k, v) if causal else kernel(q, k, v, False))[..., :size]


def _scale(q: Tensor, scale: float | None) -> float:
    return 1.0 / q.shape[-1] ** 0.5 if scale is None else scale


def _need_half(q: Tensor, kernel: str) -> None:
    _need_cuda(q, kernel)
    if q.dtype not in HALF:
        raise _cannot(kernel, f"On CUDA it supports float16 and bfloat16, not {str(q.dtype).removeprefix('torch.')}.")
    if q.shape[-1] > WIDEST:
        raise _cannot(kernel, f"It supports head sizes up to {WIDEST}, not {q.shape[-1]}.")


def _need_cuda(q: Tensor, kernel: str) -> None:
    if q.device.type != "cuda":
        raise _cannot(kernel, f"It supports cuda, not {q.device.type}.")


def _cannot(kernel: str, why: str) -> IncompatibleError:
    return IncompatibleError(
        f"torch's attention kernel {kernel!r} cannot serve this call.",
        why=why,
        remedy="Use kernel=auto to let torch choose.",
    )


KERNELS: Mapping[str, Kernel] = MappingProxyType(
    {kernel.__name__: kernel for kernel in (auto, flash, efficient, cudnn, math)}
)
