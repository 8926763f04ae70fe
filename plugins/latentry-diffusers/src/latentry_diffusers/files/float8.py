"""Rows of float8 values, each with its scale."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

BYTES = 4
"""Of a row's scale, float32, in front of its values."""
LARGEST = torch.finfo(torch.float8_e4m3fn).max


class Float8Rows(nn.Parameter):
    """Rows of float8 (e4m3), each after its scale: (rows, 4 + columns) bytes. So a row takes its scale along."""

    quant_type = "float8"
    """Says that values are packed, as in diffusers' ``GGUFParameter``."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What torch makes of it, on another device for one, are such rows too."""
        return Tensor.__torch_function__.__func__(cls, func, types, args, kwargs)  # type: ignore[attr-defined]


def float8_rows(values: Tensor, scales: Tensor) -> Tensor:
    """Packs float8 values (rows, …) with their scales: one for each row, or for all."""
    rows = values.reshape(len(values), -1).contiguous().view(torch.uint8)
    each = scales.float().reshape(-1, 1).expand(len(rows), 1).contiguous()
    return cast(Tensor, torch.cat([each.view(torch.uint8), rows], 1).as_subclass(Float8Rows))


def rounded_to_float8(rows: Tensor) -> Tensor:
    """Packs float32 values (rows, columns). The scales are powers of two, by which nothing is rounded."""
    scales = torch.exp2((rows.abs().amax(1) / LARGEST).clamp_min(2.0**-126).log2().ceil())
    return float8_rows((rows / scales[:, None]).to(torch.float8_e4m3fn), scales)


def float8_values(packed: Tensor) -> Tensor:
    """The values in float32 (rows, columns)."""
    rows = packed.as_subclass(Tensor).view(torch.uint8)
    scales = rows[:, :BYTES].contiguous().view(torch.float32)
    return rows[:, BYTES:].view(torch.float8_e4m3fn).float().mul_(scales)
