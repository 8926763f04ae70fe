"""Headers of GGUF files: of good ones, of damaged ones, and of those that were made to do harm."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from latentry_diffusers.files.gguf.cursor import HEADER, Malformed
from latentry_diffusers.files.gguf.header import parse

MAGIC = b"GGUF"
TYPES = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
HUGE = 1 << 62
fuzzed = settings(derandomize=True, database=None, deadline=None, max_examples=300)


def text(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def head(tensors: int = 0, entries: int = 0, version: int = 3) -> bytes:
    return MAGIC + struct.pack("<IQQ", version, tensors, entries)


def info(
    name: str = "w", shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0, sides: int | None = None
) -> bytes:
    sides = len(shape) if sides is None else sides
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", sides, *shape[::-1], kind, offset)


def filled(header: bytes, size: int) -> bytes:
    return header + bytes(-len(header) % 32) + bytes(size)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of every type that gguf writes, with metadata of every kind."""
    path = tmp_path_factory.mktemp("gguf") / "good.gguf"
    writer = gguf.GGUFWriter(path, "flux")
    writer.add_bool("a.bool", True)
    writer.add_float32("a.float", 0.25)
    writer.add_int64("a.number", -(1 << 40))
    writer.add_string("a.text", "β-σ")
    writer.add_array("tokens", ["▁a", "▁red", "circle"])
    writer.add_array("scores", [0.5, -1.0])
    drawn = np.random.default_rng(0)
    for number, name in enumerate(TYPES):
        kind = gguf.GGMLQuantizationType[name]
        values = drawn.normal(size=(3 + number, 64)).astype(np.float32)
        writer.add_tensor(f"t.{name}", gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.add_tensor("conv", drawn.normal(size=(5, 4, 2, 2)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_tensors_are_where_ggufs_own_reader_finds_them(good: Path) -> None:
    read, theirs = parse(good.read_bytes()), gguf.GGUFReader(good)
    assert {name: tuple(entry) for name, entry in read.tensors.items()} == {
        tensor.name: (
            tensor.tensor_type.name,
            tuple(int(side) for side in tensor.shape)[::-1],
            tuple(int(side) for side in tensor.shape)[::-1],
            tensor.data_offset,
            tensor.n_bytes,
        )
        for tensor in theirs.tensors
    }


def test_metadata_is_read_and_arrays_are_skipped(good: Path) -> None:
    assert parse(good.read_bytes()).metadata == {
        "general.architecture": "flux",
        "a.bool": "True",
        "a.float": "0.25",
        "a.number": str(-(1 << 40)),
        "a.text": "β-σ",
    }


def test_version_2_is_the_same() -> None:
    read = parse(filled(head(1, version=2) + info(), 128))
    assert read.tensors["w"].shape == (32,)


def test_an_alignment_of_its_own_is_kept() -> None:
    header = head(1, 1) + text("general.alignment") + struct.pack("<II", 4, 4096) + info()
    assert parse(header + bytes(8192)).tensors["w"].start == 4096


def original_shape(shape: tuple[int, ...]) -> bytes:
    """The beginning of a file whose tensor ``w`` was reshaped from this."""
    sides = struct.pack(f"<IIQ{len(shape)}i", 9, 5, len(shape), *shape)
    return head(1, 1) + text("comfy.gguf.orig_shape.w") + sides


BAD: dict[str, Callable[[], bytes]] = {
    "begin with GGUF": lambda: b"PK\x03\x04" + bytes(60),
    "ends within its header": lambda: head()[:11],
    "is of version": lambda: head(version=1) + bytes(8),
    "is of version 50,331,648": lambda: MAGIC + struct.pack(">IQQ", 3, 0, 0),
    f"claims {HUGE:,} tensors": lambda: head(HUGE),
    f"claims {HUGE:,} entries": lambda: head(0, HUGE),
    "claims 4,000,000,000 dimensions": lambda: head(1) + info(sides=4_000_000_000),
    "unknown type": lambda: head(0, 1) + text("k") + struct.pack("<I", 77),
    "an array itself": lambda: head(0, 1) + text("k") + struct.pack("<IIQ", 9, 9, HUGE),
    "UTF-8": lambda: head(0, 1) + text(b"\xff\xfe") + struct.pack("<IB", 7, 1),
    "an alignment of '0'": lambda: head(0, 1) + text("general.alignment") + struct.pack("<II", 4, 0),
    "an alignment of '12'": lambda: head(0, 1) + text("general.alignment") + struct.pack("<II", 4, 12),
    "does not know, 99": lambda: filled(head(1) + info(kind=99), 128),
    "'w' in a shape or at a place that Q8_0": lambda: filled(head(1) + info(shape=(4, 31), kind=8), 4096),
    "'w' in a shape or at a place that F32": lambda: filled(head(1) + info(offset=3), 4096),
    "a shape or at a place": lambda: filled(head(1) + info(shape=(0, 32)), 4096),
    "ends before its tensor 'w'": lambda: filled(head(1) + info(), 127),
    "before its tensor 'w'": lambda: filled(head(1) + info(shape=(HUGE, HUGE)), 128),
    "ends before its tensor": lambda: filled(head(1) + info(offset=HUGE), 128),
    "an alignment of '99999": lambda: head(0, 1) + text("general.alignment") + struct.pack("<I", 8) + text("9" * 5000),
    "a name of 5,000 characters": lambda: head(1) + info("w" * 5000),
    "claims the shape": lambda: filled(original_shape((3, 5)) + info(shape=(4, 4)), 256),
    "claims the shape \\(0": lambda: filled(original_shape((0, 16)) + info(shape=(4, 4)), 256),
    "where a shape is expected": lambda: filled(original_shape((1,) * 8 + (16,)) + info(shape=(4, 4)), 256),
    "of the type 6 where": lambda: (
        head(1, 1) + text("comfy.gguf.orig_shape.w") + struct.pack("<IIQ", 9, 6, 1) + bytes(4)
    ),
    "twice": lambda: filled(head(2) + info() + info(), 128),
}
LENGTHS: dict[str, bytes] = {
    "of a key": head(0, 1) + struct.pack("<Q", HUGE),
    "of a text": head(0, 1) + text("k") + struct.pack("<IQ", 8, HUGE),
    "of an array": head(0, 1) + text("k") + struct.pack("<IIQ", 9, 12, HUGE),
    "of an array of texts": head(0, 1) + text("k") + struct.pack("<IIQ", 9, 8, HUGE),
    "of a text in an array": head(0, 1) + text("k") + struct.pack("<IIQQ", 9, 8, 1, HUGE),
    "of a name": head(1) + struct.pack("<Q", HUGE),
}


@pytest.mark.parametrize("why", BAD)
def test_what_cannot_be_is_refused_in_words(why: str) -> None:
    with pytest.raises(Malformed, match=why):
        parse(BAD[why]())


@pytest.mark.parametrize("of", LENGTHS)
def test_a_length_beyond_the_file_is_refused(of: str) -> None:
    with pytest.raises(Malformed, match="ends within its header"):
        parse(LENGTHS[of])


def test_an_endless_header_is_refused() -> None:
    texts = head(0, 1) + text("k") + struct.pack("<IIQ", 9, 8, HUGE) + bytes(HEADER)
    with pytest.raises(Malformed, match="header of more than"):
        parse(texts)


def test_every_truncation_of_a_good_file_is_refused(good: Path) -> None:
    data = good.read_bytes()
    end = max(entry.start + entry.size for entry in parse(data).tensors.values())
    for length in range(0, end, 7):
        with pytest.raises(Malformed):
            parse(data[:length])


@pytest.mark.slow
@fuzzed
@given(at=st.integers(0, 900), put=st.binary(min_size=1, max_size=12))
def test_no_change_to_a_good_header_does_harm(good: Path, at: int, put: bytes) -> None:
    """Either it is refused, or every tensor lies in the file."""
    data = good.read_bytes()
    harmless(data[:at] + put + data[at + len(put) :])


@fuzzed
@given(st.binary(max_size=400))
@example(b"")
def test_no_bytes_do_harm(tail: bytes) -> None:
    harmless(MAGIC + struct.pack("<I", 3) + tail)


@pytest.mark.slow
@fuzzed
@given(
    st.lists(
        st.tuples(
            st.text(max_size=4), st.lists(st.integers(0, HUGE), max_size=5), st.integers(0, 50), st.integers(0, HUGE)
        )
    ),
    st.integers(0, 5),
    st.integers(0, 512),
)
def test_no_tensors_do_harm(infos: list[tuple[str, list[int], int, int]], more: int, room: int) -> None:
    listed = b"".join(info(name, tuple(shape), kind, offset) for name, shape, kind, offset in infos)
    harmless(filled(head(len(infos) + more) + listed, room))


def harmless(data: bytes) -> None:
    try:
        read = parse(data)
    except Malformed:
        return
    for entry in read.tensors.values():
        assert 0 < entry.start <= entry.start + entry.size <= len(data)
        values, packed = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[entry.type]]
        assert int(np.prod(entry.shape, dtype=object)) * packed == entry.size * values


def test_the_true_shape_of_a_reshaped_tensor_is_read() -> None:
    entry = parse(filled(original_shape((2, 2, 2, 2)) + info(shape=(4, 4)), 256)).tensors["w"]
    assert (entry.shape, entry.stored) == ((2, 2, 2, 2), (4, 4))
