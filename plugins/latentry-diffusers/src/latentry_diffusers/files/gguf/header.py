"""The header of a GGUF file, read without trust: every count and length is checked against the file first.

Versions 2 and 3 of the format (github.com/ggml-org/ggml, docs/gguf.md), little-endian. The gguf package's own reader
allocates whatever a header asks for, so it is not used on strangers' files; it only names the types here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from latentry_diffusers.files.gguf.cursor import ARRAY, Cursor, Malformed

if TYPE_CHECKING:
    from mmap import mmap

SIDES = 4
"""Maximum number of dimensions of a tensor."""
ORIGINAL_SHAPE = "comfy.gguf.orig_shape."
"""Prefix of the metadata keys whose arrays hold a tensor's true shape: some converters reshape tensors whose rows do
not consist of whole blocks to rows of 256."""
ORIGINAL_SIDES = 8
"""Maximum number of dimensions of a true shape."""
NAME = 256
"""Maximum length of a tensor's name."""


class Entry(NamedTuple):
    """A tensor in the file.

    Attributes:
        type: by gguf's name, e.g. ``Q8_0``.
        shape: of the values, the last dimension innermost, as in torch.
        stored: the shape in which the file holds them; another one where they were reshaped to whole blocks.
        start: its first byte in the file.
        size: in bytes.
    """

    type: str
    shape: tuple[int, ...]
    stored: tuple[int, ...]
    start: int
    size: int


class Header(NamedTuple):
    """A file's metadata (arrays left out) and its tensors by name."""

    metadata: dict[str, str]
    tensors: dict[str, Entry]


def parse(data: mmap | bytes) -> Header:
    """The header of a file.

    Raises:
        Malformed: it is not a valid header, or claims more than the file holds.
    """
    cursor = Cursor(data)
    if data[:4] != b"GGUF":
        raise Malformed("does not begin with GGUF")
    cursor.at = 4
    version = cursor.value("I")
    if version not in (2, 3):
        raise Malformed(f"is of version {version:,}, and only 2 and 3, little-endian, are known")
    tensors, entries = cursor.count("tensors"), cursor.count("entries of metadata")
    metadata: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for _ in range(entries):
        key, kind = cursor.text(), cursor.value("I")
        if kind == ARRAY and key.startswith(ORIGINAL_SHAPE):
            shapes[key.removeprefix(ORIGINAL_SHAPE)] = cursor.integers(ORIGINAL_SIDES)
        elif (value := cursor.metadata(kind)) is not None:
            metadata[key] = str(value)
    infos = [_info(cursor) for _ in range(tensors)]
    start = _aligned(cursor.at, metadata)
    placed = {info.name: _placed(info, shapes.get(info.name, info.sides), start, len(data)) for info in infos}
    if len(placed) < tensors:
        raise Malformed("names a tensor twice")
    return Header(metadata, placed)


class _Info(NamedTuple):
    name: str
    sides: tuple[int, ...]
    type: int
    offset: int


def _info(cursor: Cursor) -> _Info:
    name, sides = cursor.text(), cursor.value("I")
    if len(name) > NAME:
        raise Malformed(f"has a tensor with a name of {len(name):,} characters")
    if sides > SIDES:
        raise Malformed(f"claims {sides:,} dimensions for {name!r}")
    shape = tuple(cursor.value("Q") for _ in range(sides))
    return _Info(name, shape[::-1], cursor.value("I"), cursor.value("Q"))


def _aligned(end: int, metadata: Mapping[str, str]) -> int:
    """Where the tensors begin."""
    stated = metadata.get("general.alignment", "32")
    step = int(stated) if stated.isdecimal() and len(stated) < 8 else 0
    if step not in (1 << power for power in range(3, 17)):
        raise Malformed(f"declares an alignment of {stated[:20]!r}, which is not a power of 2 from 8 to 65536")
    return -(-end // step) * step


def _placed(info: _Info, shape: tuple[int, ...], start: int, length: int) -> Entry:
    """Refuses a tensor that does not lie in the file, or whose true shape has another number of values."""
    import gguf

    kind = next((each for each in gguf.GGMLQuantizationType if each == info.type), None)
    if kind is None:
        raise Malformed(f"has {info.name!r} in a type that the gguf package does not know, {info.type:,}")
    values, packed = gguf.GGML_QUANT_SIZES[kind]
    if 0 in info.sides or (info.sides[-1] if info.sides else 1) % values or info.offset % 8:
        raise Malformed(f"has {info.name!r} in a shape or at a place that {kind.name} cannot have")
    if min(shape, default=1) < 1 or math.prod(shape) != math.prod(info.sides):
        raise Malformed(f"claims the shape {shape} for {info.name!r}, which is stored as {info.sides}")
    first, size = start + info.offset, math.prod(info.sides) // values * packed
    if first + size > length:
        raise Malformed(f"ends before its tensor {info.name!r} does, at byte {first + size:,}")
    return Entry(kind.name, shape, info.sides, first, size)
