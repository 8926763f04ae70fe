"""The values of packed weights: GGUF's blocks, and rows of float8."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import torch
    from diffusers.quantizers.gguf.utils import GGUFParameter
    from torch import Tensor


def is_quantised(tensor: Tensor) -> bool:
    """Whether it holds packed bytes instead of values."""
    return hasattr(tensor, "quant_type")


def dequantised(blocks: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """The values of diffusers' ``GGUFParameter`` or of ``Float8Rows`` in rows, computed in float32 and then cast.

    A tensor that is not quantised is cast alone. Without a dtype the result stays in float32.
    """
    import torch

    dtype = dtype or torch.float32
    if not is_quantised(blocks):
        return blocks.to(dtype)
    from latentry_diffusers.files.float8 import Float8Rows, float8_values

    if isinstance(blocks, Float8Rows):
        return float8_values(blocks).to(dtype)
    from diffusers.quantizers.gguf.utils import GGML_QUANT_SIZES, dequantize_functions

    held = cast("GGUFParameter", blocks)
    size, packed = GGML_QUANT_SIZES[held.quant_type]
    rows = held.as_tensor().view(torch.uint8).reshape(-1, packed)
    values: Tensor = dequantize_functions[held.quant_type](rows, size, packed, dtype=torch.float32)
    return values.reshape(held.quant_shape).to(dtype)
