"""GGUF files of our tensors, written by the gguf package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from latentry_diffusers.layouts import Pair, backward, forward

SCALES: Mapping[str, tuple[int, ...]] = {
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q8_0": (0,),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "IQ4_NL": (0,),
    "IQ4_XS": (0,),
}
"""Where a block of each type has its scales in half precision; everything else may be any bits."""


def crafted(type: str, shape: tuple[int, ...], *, scale: float, seed: int = 0) -> np.ndarray:
    """Blocks of random bits for a tensor: the gguf package writes no K-quants.

    Args:
        type: gguf's name of it.
        shape: of the values.
        scale: standard deviation of the blocks' scales.
        seed: of the bits.
    """
    kind = gguf.GGMLQuantizationType[type]
    size, packed = gguf.GGML_QUANT_SIZES[kind]
    drawn = np.random.default_rng(seed)
    blocks = drawn.integers(0, 256, (int(np.prod(shape)) // size, packed), dtype=np.uint8)
    for at in SCALES[type]:
        blocks[:, at : at + 2] = drawn.normal(0, scale, (len(blocks), 1)).astype(np.float16).view(np.uint8)
    return blocks.reshape(*shape[:-1], -1)


def write_gguf(path: Path, tensors: Mapping[str, Tensor], type: str, *, architecture: str = "flux") -> Path:
    """Matrices in a quantised type where their rows are made of whole blocks, everything else in float32.

    K-quants have random values in place of the tensors'. No tensor has a leading dimension of one, as in llama.cpp's
    files.

    Args:
        path: of the file.
        tensors: by the name in the file.
        type: gguf's name of it.
        architecture: for ``general.architecture``.
    """
    writer = gguf.GGUFWriter(path, architecture)
    for name, tensor in tensors.items():
        writer.add_tensor(name, _stored(tensor, type), raw_dtype=_kind(tensor, type))
    _close(writer)
    return path


def through(tensor: Tensor, type: str) -> Tensor:
    """What is left of a tensor's values in such a file, by the gguf package, in float32."""
    values = gguf.quants.dequantize(_stored(tensor, type), _kind(tensor, type))
    return torch.from_numpy(values.copy()).reshape(tensor.shape)


def part_as_gguf(part: Path, path: Path, type: str, pairs: Sequence[Pair] = (), *, architecture: str = "flux") -> Path:
    """The weights of a part's folder in one such file, in the layout of the pairs or else under their own names."""
    tensors = load_file(next(part.glob("*.safetensors")))
    named = {pair.original: backward(pair, tensors) for pair in pairs} or tensors
    return write_gguf(path, named, type, architecture=architecture)


def round_part(part: Path, type: str, pairs: Sequence[Pair] = ()) -> None:
    """Leaves in a part's folder what is left of its weights in such a file."""
    file = next(part.glob("*.safetensors"))
    tensors = load_file(file)
    rounded = {name: through(tensor, type) for name, tensor in tensors.items()}
    for pair in pairs:
        rounded |= forward(pair, through(backward(pair, tensors), type))
    save_file({name: tensor.contiguous() for name, tensor in rounded.items()}, file, metadata={"format": "pt"})


def _stored(tensor: Tensor, type: str) -> np.ndarray:
    bare, kind = _bare(tensor), _kind(tensor, type)
    if kind.name.endswith("_K"):
        return crafted(type, tuple(bare.shape), scale=1e-5, seed=bare.numel())
    return gguf.quants.quantize(bare.detach().to(torch.float32).contiguous().numpy(), kind)


def _kind(tensor: Tensor, type: str) -> gguf.GGMLQuantizationType:
    kind, bare = gguf.GGMLQuantizationType[type], _bare(tensor)
    whole = bare.ndim == 2 and bare.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0] == 0
    return kind if whole else gguf.GGMLQuantizationType.F32


def _bare(tensor: Tensor) -> Tensor:
    while tensor.ndim > 1 and tensor.shape[0] == 1:
        tensor = tensor[0]
    return tensor


def write_rows_of_256(path: Path, tensors: Mapping[str, Tensor], type: str, architecture: str) -> dict[str, Tensor]:
    """Every matrix and convolution quantised, those without whole blocks in rows of 256 beside their true shapes.

    K-quants have random values in place of the tensors'.

    Returns:
        The values in the file, by the gguf package.
    """
    kind, written = gguf.GGMLQuantizationType[type], {}
    writer = gguf.GGUFWriter(path, architecture)
    for name, tensor in tensors.items():
        rows = tensor.detach().to(torch.float32)
        if tensor.ndim < 2 or tensor.numel() % 256:
            writer.add_tensor(name, rows.numpy())
            written[name] = rows
            continue
        if tensor.shape[-1] % 256:
            rows = rows.reshape(-1, 256)
            writer.add_array(f"comfy.gguf.orig_shape.{name}", list(tensor.shape))
        stored, values = _quantised(rows, kind)
        writer.add_tensor(name, stored, raw_dtype=kind)
        written[name] = values.reshape(tensor.shape)
    _close(writer)
    return written


def write_projections(path: Path, tensors: Mapping[str, Tensor], type: str, architecture: str) -> dict[str, Tensor]:
    """Matrices quantised where their rows are whole blocks; projections of attention blocks with their ones exchanged.

    Those that are 1×1 convolutions (o, i, 1, 1) are stored as matrices, those that are matrices as convolutions.

    Returns:
        The values in the file, by the gguf package.
    """
    kind, written = gguf.GGMLQuantizationType[type], {}
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    writer = gguf.GGUFWriter(path, architecture)
    for name, tensor in tensors.items():
        values = tensor.detach().to(torch.float32)
        if name.endswith((".proj_in.weight", ".proj_out.weight")):
            values = values[:, :, 0, 0] if tensor.ndim == 4 else values[:, :, None, None]
        if values.ndim == 2 and values.shape[-1] % block == 0:
            stored, values = _quantised(values, kind)
            writer.add_tensor(name, stored, raw_dtype=kind)
        else:
            writer.add_tensor(name, values.contiguous().numpy())
        written[name] = values.reshape(tensor.shape)
    _close(writer)
    return written


def _quantised(values: Tensor, kind: gguf.GGMLQuantizationType) -> tuple[np.ndarray, Tensor]:
    """Blocks of a matrix, and their values."""
    if kind.name.endswith("_K"):
        stored = crafted(kind.name, tuple(values.shape), scale=1e-5, seed=values.numel())
    else:
        stored = gguf.quants.quantize(values.contiguous().numpy(), kind)
    return stored, torch.from_numpy(gguf.quants.dequantize(stored, kind).copy())


def _close(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
