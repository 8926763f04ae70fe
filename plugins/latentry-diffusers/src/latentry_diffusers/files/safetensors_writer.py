"""Writes safetensors files one tensor at a time; the library's own writer needs all tensors in memory at once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

import torch
from torch import Tensor

NAMES: Mapping[torch.dtype, str] = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""safetensors' names of torch's dtypes, in the order in which the library writes them."""
ALIGNED = 8
"""The first tensor begins at a multiple of this many bytes."""


class Entry(NamedTuple):
    """A tensor to be written.

    Attributes:
        name: in the file.
        shape: in the file.
        dtype: in the file.
        read: returns it, on the CPU.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]

    @property
    def size(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class Planned(NamedTuple):
    """A file to be written.

    Attributes:
        path: relative to the target.
        entries: its tensors.
        metadata: of the file.
    """

    path: PurePath
    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]

    @property
    def size(self) -> int:
        """Size of the tensors in bytes."""
        return sum(entry.size for entry in self.entries)


def write_safetensors(path: Path, entries: Iterable[Entry], metadata: Mapping[str, str]) -> Iterator[Entry]:
    """Writes a file, byte for byte as the library does: larger dtypes first, so that every tensor is aligned.

    Args:
        path: of the file, which is replaced.
        entries: the tensors to write.
        metadata: to write.

    Yields:
        Each tensor once it is written; the file is complete with the last.

    Raises:
        OSError: it cannot be written.
    """
    order = list(NAMES)
    ordered = sorted(entries, key=lambda entry: (order.index(entry.dtype), entry.name))
    with path.open("wb") as file:
        file.write(_header(ordered, metadata))
        for entry in ordered:
            flat = entry.read().to(entry.dtype).contiguous().reshape(-1)
            file.write(flat.view(torch.uint8).numpy().data)
            yield entry


def _header(entries: Iterable[Entry], metadata: Mapping[str, str]) -> bytes:
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    begin = 0
    for entry in entries:
        end = begin + entry.size
        header[entry.name] = {"dtype": NAMES[entry.dtype], "shape": entry.shape, "data_offsets": (begin, end)}
        begin = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNED)
    return len(text).to_bytes(8, "little") + text
