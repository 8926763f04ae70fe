"""GGUF files: their headers, and their tensors as views of the memory-mapped file."""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from latentry import ModelError
from latentry_diffusers.files.gguf.cursor import Malformed
from latentry_diffusers.files.gguf.header import Entry, Header, parse
from latentry_diffusers.files.tensor_header import TensorHeader
from latentry_diffusers.files.weight_files import WeightFiles

if TYPE_CHECKING:
    from torch import Tensor

PLAIN: Mapping[str, str] = MappingProxyType(
    {
        "F64": "float64",
        "F32": "float32",
        "F16": "float16",
        "BF16": "bfloat16",
        "I64": "int64",
        "I32": "int32",
        "I16": "int16",
        "I8": "int8",
    }
)
"""torch's names of the types that are not quantised."""


def read_gguf(path: Path) -> WeightFiles:
    """What a GGUF file holds, shapes in torch's order. No tensor is read, and torch is not imported.

    Raises:
        ModelError: it is not a GGUF file, is cut short, or claims more than it holds.
    """
    header = _header(path)
    tensors = {name: TensorHeader(entry.type, entry.shape, entry.size) for name, entry in header.tensors.items()}
    return WeightFiles((path,), tensors, dict.fromkeys(tensors, path), header.metadata, "gguf", GgufTensors)


class GgufTensors:
    """The tensors of one GGUF file, mapped into memory for as long as one of them is in use.

    Args:
        path: the file.

    Raises:
        ModelError: in the same cases as ``read_gguf``.
    """

    def __init__(self, path: Path) -> None:
        import torch

        self._path, self._entries = path, _header(path).tensors
        self._bytes = torch.from_file(str(path), size=path.stat().st_size, dtype=torch.uint8)

    def get_tensor(self, name: str) -> Tensor:
        """A view of the file; if quantised, the packed blocks (…, bytes of a row) as diffusers' ``GGUFParameter``.

        Raises:
            ModelError: diffusers does not know the quantisation.
        """
        import torch

        entry = self._entries[name]
        data = self._bytes[entry.start : entry.start + entry.size]
        if entry.type in PLAIN:
            plain: Tensor = data.view(getattr(torch, PLAIN[entry.type])).reshape(entry.shape)
            return plain
        return self._blocks(name, data.reshape(*_rows(entry), -1))

    def _blocks(self, name: str, data: Tensor) -> Tensor:
        import gguf
        from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_functions

        kind = gguf.GGMLQuantizationType[self._entries[name].type]
        if kind not in dequantize_functions:
            known = sorted(each.name for each in dequantize_functions if each.name.startswith(("Q", "IQ")))
            raise ModelError(
                f"{name} in {self._path} is quantised as {kind.name}, which diffusers cannot compute with.",
                remedy=f"Use a file that is quantised as one of {', '.join(known)}.",
            )
        blocks: Tensor = GGUFParameter(data, quant_type=kind)
        return blocks


def _rows(entry: Entry) -> tuple[int, ...]:
    """The leading dimensions of a quantised tensor's packed blocks.

    They are those of the true shape, so that layers stacked along the first dimension can be split, unless its rows do
    not consist of whole blocks; then they are those of the file.
    """
    import gguf

    if entry.shape == entry.stored:
        return entry.shape[:-1]
    block, _ = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[entry.type]]
    return entry.shape[:1] if math.prod(entry.shape[1:]) % block == 0 else entry.stored[:-1]


def _header(path: Path) -> Header:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return parse(data)
    except (OSError, ValueError) as error:
        why = f"It {error}." if isinstance(error, Malformed) else f"{type(error).__name__}: {error}"
        size = path.stat().st_size if path.is_file() else 0
        raise ModelError(
            f"{path} is damaged or not a GGUF file.",
            why=f"{why} The file has {size:,} bytes.",
            remedy="Download or copy it again.",
        ) from error
