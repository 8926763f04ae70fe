"""Questions to the headers of a file's tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from latentry_diffusers.files.weight_files import TensorHeader

Headers = Mapping[str, TensorHeader]
"""By the tensor's name."""

PREFIXES = ("model.diffusion_model.", "")
"""What the names of a UNet or transformer begin with in a single file."""
SUFFIXES = (".safetensors", ".sft", ".gguf")
DTYPES: Mapping[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
"""torch's names of safetensors' dtypes, and of GGUF's that are no quantisation."""


def is_weights(path: Path) -> bool:
    """Whether it is, by its name, a file of weights or the index of a sharded one."""
    return path.suffix in SUFFIXES or (path.suffix == ".json" and ".safetensors.index" in path.name)


def side(tensors: Headers, name: str, dimension: int) -> int | None:
    """The size of a tensor along a dimension; None where there is no such tensor or dimension."""
    header = tensors.get(name)
    return header.shape[dimension] if header is not None and len(header.shape) > dimension else None


def count(tensors: Headers, name: Callable[[int], str]) -> int:
    """How many of the names that are made from 0, 1, 2… there are in a row."""
    number = 0
    while name(number) in tensors:
        number += 1
    return number


def alone(tensors: Headers, prefixes: Iterable[str]) -> Headers:
    """The tensors without the first prefix that the names of all have; none where there is no such prefix."""
    for prefix in prefixes:
        if all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): header for name, header in tensors.items()}
    return {}


def dtypes(headers: Iterable[TensorHeader]) -> tuple[str, ...]:
    """The dtypes, that of most bytes first."""
    sizes: dict[str, int] = {}
    for header in headers:
        name = DTYPES.get(header.dtype, header.dtype)
        sizes[name] = sizes.get(name, 0) + header.size
    return tuple(sorted(sizes, key=lambda name: (-sizes[name], name)))


def parameters(headers: Iterable[TensorHeader]) -> int:
    """How many values the tensors have."""
    return sum(math.prod(header.shape) for header in headers)
