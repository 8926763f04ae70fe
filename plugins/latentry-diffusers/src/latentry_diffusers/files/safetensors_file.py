"""Safetensors files: their headers, and their tensors as views of the memory-mapped file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentry_diffusers.files.errors import damaged
from latentry_diffusers.files.tensor_header import TensorHeader
from latentry_diffusers.files.weight_files import WeightFiles

BITS: Mapping[str, int] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Bits of one value, by safetensors' name of the dtype."""


def read_safetensors(path: Path) -> WeightFiles:
    """The header of a safetensors file; no tensor is read, and torch is not imported.

    Raises:
        ModelError: the file is damaged, or holds a dtype that is not known.
    """
    try:
        with _open(path, "np") as file:
            tensors = {name: _header(file.get_slice(name)) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except Exception as error:  # safetensors' own errors, OSError, or a dtype that this version does not know
        raise damaged(path, error) from error
    return WeightFiles((path,), tensors, dict.fromkeys(tensors, path), metadata, "safetensors", open_safetensors)


def open_safetensors(path: Path) -> Any:
    """The file mapped into memory, with ``get_tensor(name)`` giving torch's tensors."""
    return _open(path, "pt")


def _header(view: Any) -> TensorHeader:
    dtype, shape = str(view.get_dtype()), tuple(int(side) for side in view.get_shape())
    return TensorHeader(dtype, shape, math.prod(shape) * BITS[dtype] // 8)


def _open(path: Path, framework: str) -> Any:
    from safetensors import safe_open

    return safe_open(path, framework)
