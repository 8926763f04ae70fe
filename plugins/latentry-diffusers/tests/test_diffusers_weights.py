"""Headers of files, shards and folders; and one clear error for what is none."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from latentry import ModelError
from latentry_diffusers.files.part_folder import find_weights
from latentry_diffusers.files.read import read_headers
from latentry_diffusers.files.tensor_header import TensorHeader
from latentry_diffusers.files.weight_files import MAPPED

TENSORS: Mapping[str, torch.Tensor] = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b": torch.arange(4).to(torch.bfloat16),
    "c": torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn),
    "d": torch.tensor(7, dtype=torch.int64),
    "e": torch.zeros(0),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """All of them in one file."""
    save_file(dict(TENSORS), tmp_path / "model.safetensors", metadata={"modelspec.title": "Drawn"})
    return tmp_path / "model.safetensors"


def write_shards(folder: Path, *, listed: Mapping[str, str] | None = None) -> Path:
    """Two shards and their index."""
    places = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(TENSORS)}
    for shard in set(places.values()):
        save_file({name: TENSORS[name] for name in places if places[name] == shard}, folder / shard)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": {**places, **(listed or {})}}))
    return index


def test_headers_say_dtype_shape_and_bytes(file: Path) -> None:
    weights = read_headers(file)
    assert weights.files == (file,)
    assert weights.tensors["a"] == TensorHeader("F32", (2, 3), 24)
    assert weights.tensors["b"] == TensorHeader("BF16", (4,), 8)
    assert weights.tensors["c"] == TensorHeader("F8_E4M3", (2,), 2)
    assert weights.tensors["d"] == TensorHeader("I64", (), 8)
    assert weights.tensors["e"] == TensorHeader("F32", (0,), 0)
    assert dict(weights.metadata) == {"modelspec.title": "Drawn"}
    total = sum(header.size for header in weights.tensors.values())
    length = struct.unpack("<Q", file.read_bytes()[:8])[0]
    assert total == file.stat().st_size - 8 - length


def test_a_tensor_is_what_was_saved_and_lies_in_the_file(file: Path) -> None:
    weights = read_headers(file)
    for name, tensor in TENSORS.items():
        read = weights.read(name)
        assert read.dtype == tensor.dtype
        assert torch.equal(read.float(), tensor.float())
    one, other = weights.read("a"), weights.read("a")
    assert one.data_ptr() == other.data_ptr()
    before = file.read_bytes()
    one.zero_()
    assert file.read_bytes() == before


def test_tensors_outlive_the_mappings(file: Path) -> None:
    weights = read_headers(file)
    tensor = weights.read("a")
    weights.close()
    assert torch.equal(tensor, TENSORS["a"])
    assert torch.equal(weights.read("a"), TENSORS["a"])


def test_a_long_file_is_read_through_several_mappings(file: Path) -> None:
    """So that the pages of tensors that went elsewhere can go."""
    weights = read_headers(file)
    many = dict(weights.tensors) | {"a": TensorHeader("F32", (2, 3), MAPPED + 1)}  # as if it were that large
    weights = replace(weights, tensors=many)
    one, other = weights.read("a"), weights.read("a")
    assert one.data_ptr() != other.data_ptr()
    assert torch.equal(one, other)


@pytest.mark.parametrize("way", ["index", "folder"])
def test_shards_are_one(tmp_path: Path, way: str) -> None:
    index = write_shards(tmp_path)
    weights = read_headers(index if way == "index" else tmp_path)
    assert weights.tensors.keys() == TENSORS.keys()
    assert {path.name for path in weights.files} == {f"model-0000{i}-of-00002.safetensors" for i in (1, 2)}
    assert all(torch.equal(weights.read(name).float(), tensor.float()) for name, tensor in TENSORS.items())


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["model.safetensors", "model.fp16.safetensors"], "model.safetensors"),
        (["diffusion_pytorch_model.fp16.safetensors"], "diffusion_pytorch_model.fp16.safetensors"),
        (["model.safetensors", "model.safetensors.index.json"], "model.safetensors"),
        (["diffusion_pytorch_model.safetensors.index.json", "a.safetensors", "b.safetensors"], None),
        (["model.safetensors.index.fp16.json", "a.safetensors"], "model.safetensors.index.fp16.json"),
        (["some.gguf"], "some.gguf"),
        (["some.sft"], "some.sft"),
    ],
)
def test_the_file_of_a_folder_is_found_by_its_name(tmp_path: Path, names: list[str], chosen: str | None) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert find_weights(tmp_path).name == (chosen or names[0])


def _several(folder: Path) -> Path:
    for name in ("a", "b"):
        save_file(dict(TENSORS), folder / f"{name}.safetensors")
    return folder


def _pickles(folder: Path) -> Path:
    torch.save(dict(TENSORS), folder / "pytorch_model.bin")
    return folder


def _written(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def _renamed_pickle(folder: Path) -> Path:
    torch.save(dict(TENSORS), folder / "model.safetensors")
    return folder / "model.safetensors"


def _cut(folder: Path) -> Path:
    save_file(dict(TENSORS), folder / "model.safetensors")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-9])
    return folder / "model.safetensors"


def _without_shard(folder: Path) -> Path:
    index = write_shards(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    return index


_HEADER = json.dumps({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}).encode()
LARGE = struct.pack("<Q", len(_HEADER)) + _HEADER


def _index(content: object) -> Callable[[Path], Path]:
    return _written("model.safetensors.index.json", json.dumps(content).encode())


SPOILT: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing there": (lambda f: f / "model.safetensors", "There is no file .*model.safetensors"),
    "an empty folder": (lambda f: f, "holds no weights"),
    "an empty file": (_written("model.safetensors", b""), "model.safetensors is damaged"),
    "no header": (_written("model.safetensors", b"\xff" * 64), "model.safetensors is damaged"),
    "a header that is too long": (_written("a.safetensors", struct.pack("<Q", 1 << 60) + b"{}"), "is damaged"),
    "a header that is no JSON": (_written("a.safetensors", struct.pack("<Q", 4) + b"{{{{"), "is damaged"),
    "a tensor out of bounds": (_written("a.safetensors", LARGE), "is damaged"),
    "cut short": (_cut, "model.safetensors is damaged"),
    "a pickle": (_written("model.ckpt", b"\x80\x02}q\x00."), "model.ckpt is a pickle and is refused"),
    "a pickle under another name": (_renamed_pickle, "model.safetensors is a pickle and is refused"),
    "a folder of pickles": (_pickles, "pytorch_model.bin is a pickle and is refused"),
    "several files of one part": (_several, "holds several files of weights"),
    "a shard that is missing": (_without_shard, "model-00002-of-00002.safetensors is missing"),
    "a shard that lacks a key": (
        lambda f: write_shards(f, listed={"a": "model-00002-of-00002.safetensors"}),
        "model-00002-of-00002.safetensors does not hold a",
    ),
    "an index of nothing": (_index({"weight_map": {}}), "is not an index"),
    "an index that is a list": (_index([]), "is not an index"),
    "an index to another folder": (_index({"weight_map": {"a": "../secret.safetensors"}}), "is not an index"),
    "an index to a number": (_index({"weight_map": {"a": 1}}), "is not an index"),
    "an index without end": (_written("model.safetensors.index.json", b"[" * 100_000), "is not an index"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_not_a_file_of_weights_is_one_clear_error(tmp_path: Path, what: str) -> None:
    make, message = SPOILT[what]
    with pytest.raises(ModelError, match=message) as caught:
        read_headers(make(tmp_path))
    assert caught.value.remedy
    assert len(str(caught.value)) < 700


def test_a_file_that_changes_after_its_header_was_read_is_an_error(file: Path) -> None:
    weights = read_headers(file)
    file.write_bytes(b"")
    with pytest.raises(ModelError, match="is damaged"):
        weights.read("a")


def test_headers_need_no_torch(file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from latentry_diffusers.files.read import read_headers;"
        f"read_headers(Path({str(file)!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
