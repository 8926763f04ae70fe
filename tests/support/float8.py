"""Float8 weights with scales, in the two ways in which files hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

Convention = Literal["scaled_fp8", "comfy_quant"]
LARGEST = {torch.float8_e4m3fn: 448.0, torch.float8_e5m2: 57344.0}


def scaled_float8(
    tensors: Mapping[str, Tensor],
    convention: Convention,
    *,
    prefix: str = "",
    rows: bool = False,
    dtype: torch.dtype = torch.float8_e4m3fn,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What a file with its matrices in scaled float8 holds, and the values that it stands for, in float32.

    Args:
        tensors: by name.
        convention: by its mark.
        prefix: of the network's names; the mark lies under it.
        rows: a scale for each row instead of one for each matrix.
        dtype: of the matrices.
    """
    stored: dict[str, Tensor] = (
        {f"{prefix}scaled_fp8": torch.zeros(2, dtype=dtype)} if convention == "scaled_fp8" else {}
    )
    values: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not (name.endswith(".weight") and tensor.ndim == 2 and name.startswith(prefix)):
            stored[name], values[name] = tensor.clone(), tensor.clone()
            continue
        largest = tensor.float().abs().amax(dim=1, keepdim=True) if rows else tensor.float().abs().amax()
        scale = (largest / LARGEST[dtype]).clamp(min=1e-12)
        packed = (tensor.float() / scale).to(dtype)
        layer = name.removesuffix(".weight")
        stored[name], values[name] = packed, packed.float() * scale
        if convention == "scaled_fp8":
            stored[f"{layer}.scale_weight"] = scale.reshape(-1) if rows else scale.reshape(1)
            stored[f"{layer}.scale_input"] = torch.tensor([0.5])  # for computing in float8, which is not done
        else:
            stored[f"{layer}.weight_scale"] = scale if rows else scale.reshape(())
            text = json.dumps({"format": "float8_e4m3fn"}).encode()
            stored[f"{layer}.comfy_quant"] = torch.frombuffer(bytearray(text), dtype=torch.uint8).clone()
    return stored, values
