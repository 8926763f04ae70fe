"""Helpers that answer questions about tensor headers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from latentry_diffusers.files.tensor_header import TensorHeader

Headers = Mapping[str, TensorHeader]
"""Headers by tensor name."""

PREFIXES = ("model.diffusion_model.", "")
"""How the names of a UNet or transformer begin in a single file."""
SUFFIXES = (".safetensors", ".sft", ".gguf")
DTYPES: Mapping[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
"""torch's names for the dtypes of safetensors, and for those of GGUF that are not quantised."""


def is_weights(path: Path) -> bool:
    """Whether it is named like a weight file, or like the index of a sharded one."""
    return path.suffix in SUFFIXES or (path.suffix == ".json" and ".safetensors.index" in path.name)


def denoiser_prefix(tensors: Headers) -> str:
    """How the names of the UNet or transformer in a file begin."""
    return next(prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in tensors) or not prefix)


def side(tensors: Headers, name: str, dimension: int) -> int | None:
    """The size of a tensor along a dimension; None where there is no such tensor or dimension."""
    header = tensors.get(name)
    return header.shape[dimension] if header is not None and len(header.shape) > dimension else None


def count(tensors: Headers, name: Callable[[int], str]) -> int:
    """How many of the names made from 0, 1, 2, … are there without a gap."""
    number = 0
    while name(number) in tensors:
        number += 1
    return number


def alone(tensors: Headers, prefixes: Iterable[str]) -> Headers:
    """The tensors with the first shared prefix stripped from their names; empty where they share none."""
    for prefix in prefixes:
        if all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): header for name, header in tensors.items()}
    return {}


def dtypes(headers: Iterable[TensorHeader]) -> tuple[str, ...]:
    """The dtypes, the one with most bytes first."""
    sizes: dict[str, int] = {}
    for header in headers:
        name = DTYPES.get(header.dtype, header.dtype)
        sizes[name] = sizes.get(name, 0) + header.size
    return tuple(sorted(sizes, key=lambda name: (-sizes[name], name)))


def parameters(headers: Iterable[TensorHeader]) -> int:
    """The number of values in the tensors."""
    return sum(math.prod(header.shape) for header in headers)
