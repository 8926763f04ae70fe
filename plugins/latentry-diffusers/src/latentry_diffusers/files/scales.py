"""Reads float8 weights with scales, and detects weights that are packed in unsupported ways.

A layer's scale is named like its weight: ``scale_weight`` in files that hold the mark ``scaled_fp8``, ``weight_scale``
in those that hold ``comfy_quant`` for each layer. The values are weight · scale, with one scale for the whole weight or
one for each row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from latentry_diffusers.files.tensor_header import TensorHeader

if TYPE_CHECKING:
    from torch import Tensor

WEIGHT = ".weight"
SCALES = (".scale_weight", ".weight_scale")
"""Suffixes of a scale's name, in place of the ``.weight`` of its weight."""
FLOAT8 = frozenset({"F8_E4M3", "F8_E5M2"})
FLOATS = frozenset({"F32", "F16", "BF16"})
BYTES = frozenset({"U8", "I8", "F8_E8M0", "F4"})
"""Dtypes that only packed weights have."""
MARK = "scaled_fp8"
"""A tensor that says that all float8 weights under its prefix have scales."""
WITH_WEIGHTS = re.compile(r"(.*\.)?(scale_weight|weight_scale|scale_input|input_scale|scaled_fp8|comfy_quant)")
"""Tensors that come with scaled weights. Scales of inputs are for computing in float8, which is not done here."""
_PACKED = re.compile(r"(.*\.)?(absmax|qweight|qzeros|SCB|weight_scale_(2|inv))|.*\.quant_state\..*")
"""Tables of bitsandbytes, GPTQ and of formats with a scale for each block."""


def find_scales(tensors: Mapping[str, TensorHeader]) -> dict[str, str]:
    """Maps each scaled weight to the name of its scale."""
    found = {}
    for end in SCALES:
        for name in tensors:
            weight = name.removesuffix(end) + WEIGHT
            if name.endswith(end) and weight in tensors and _is_scale(tensors[name], tensors[weight]):
                found[weight] = name
    return found


def scaled(weight: Tensor, scale: Tensor) -> Tensor:
    """weight · scale in float32; a scale is one number, or one for each row."""
    factor = scale.float().reshape(-1, *(1,) * (weight.ndim - 1)) if scale.numel() > 1 else scale.float().reshape(())
    return weight.float() * factor


def unreadable(tensors: Mapping[str, TensorHeader], prefixes: tuple[str, ...]) -> str | None:
    """A tensor that shows that weights under these prefixes are packed in an unsupported way, if there is one."""
    scales = find_scales(tensors)
    applied = frozenset(scales.values())
    marked = any(prefix + MARK in tensors for prefix in prefixes)
    for name, header in tensors.items():
        if not name.startswith(prefixes):
            continue
        of_unknown_kind = name.endswith(SCALES) and name not in applied
        bytes_for_values = name.endswith(WEIGHT) and header.dtype in BYTES
        lacks_its_scale = marked and name.endswith(WEIGHT) and header.dtype in FLOAT8 and name not in scales
        if of_unknown_kind or bytes_for_values or lacks_its_scale or _PACKED.fullmatch(name):
            return name
    return None


def _is_scale(scale: TensorHeader, weight: TensorHeader) -> bool:
    count = math.prod(scale.shape)
    rows = weight.shape[0] if weight.shape else 1
    return weight.dtype in FLOAT8 and scale.dtype in FLOATS and count in (1, rows)
