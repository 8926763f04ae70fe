"""Files of weights that are a header and a hole: as long as published ones, and next to nothing on the disk."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]
BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "U8": 1}


def write_sparse(
    file: Path, shapes: Shapes, *, dtype: str = "F16", dtypes: Mapping[str, str] | None = None, **metadata: str
) -> Path:
    """A safetensors file with these tensors, all zero.

    Args:
        file: to be written.
        shapes: of the tensors.
        dtype: of all of them.
        dtypes: of single ones instead.
        metadata: with ``__`` for a dot: ``modelspec__title`` is ``modelspec.title``.
    """
    header: dict[str, Any] = {"__metadata__": {key.replace("__", "."): value for key, value in metadata.items()}}
    end = 0
    for name, shape in shapes.items():
        kind = (dtypes or {}).get(name, dtype)
        begin, end = end, end + math.prod(shape) * BYTES[kind]
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}
    return write_header(file, json.dumps(header).encode(), end)


def write_header(file: Path, header: bytes, data: int) -> Path:
    """A safetensors file of this header and so many bytes of zeros."""
    header += b" " * (-len(header) % 8)
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    os.truncate(file, 8 + len(header) + data)
    return file


def write_sparse_gguf(file: Path, shapes: Shapes, architecture: str, *, packed: str = "Q8_0") -> Path:
    """A GGUF file with these tensors, as gguf's own writer lays it out; matrices packed, the rest in float32."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(file, architecture)
    kind = gguf.GGMLQuantizationType[packed]
    values, size = gguf.GGML_QUANT_SIZES[kind]
    for name, shape in shapes.items():
        if len(shape) == 2 and shape[-1] % values == 0:
            rows = (*shape[:-1], shape[-1] // values * size)
            writer.add_tensor_info(name, rows, np.dtype(np.uint8), math.prod(rows), raw_dtype=kind)
        else:
            writer.add_tensor_info(name, shape, np.dtype(np.float32), 4 * math.prod(shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    padded = (-(-info.nbytes // 32) * 32 for info in writer.tensors[0].values())
    os.truncate(file, -(-file.stat().st_size // 32) * 32 + sum(padded))
    return file


def write_sparse_shards(folder: Path, shapes: Shapes, number: int = 3) -> Path:
    """The index of a safetensors file in shards, which are written beside it."""
    stem, names = "diffusion_pytorch_model", list(shapes)
    share = -(-len(names) // number)
    places: dict[str, str] = {}
    for shard in range(number):
        file = f"{stem}-{shard + 1:05}-of-{number:05}.safetensors"
        held = names[shard * share : (shard + 1) * share]
        write_sparse(folder / file, {name: shapes[name] for name in held})
        places |= dict.fromkeys(held, file)
    index = folder / f"{stem}.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return index


def shapes_of(network: Any) -> dict[str, tuple[int, ...]]:
    """Of a network's tensors."""
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def prefixed(prefix: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """The same tensors with something before their names."""
    return {prefix + name: shape for name, shape in shapes.items()}


def originals(network: Any, pairs: Iterable[Any], prefix: str = "") -> dict[str, tuple[int, ...]]:
    """The shapes of a network's tensors in its original layout."""
    import torch

    from latentry_diffusers.layouts import backward

    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes_of(network).items()}
    return {prefix + pair.original: tuple(backward(pair, tensors).shape) for pair in pairs}
