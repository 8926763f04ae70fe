"""GGUF files as files of weights."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
import torch
from support.gguf_files import through, write_gguf
from torch import Tensor

from latentry import ModelError
from latentry_diffusers.files.read import read_headers
from latentry_diffusers.loading.quantised import dequantised, is_quantised

TYPES = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(0)
    shapes = {"matrix": (6, 64), "bias": (6,), "conv": (4, 3, 2, 2), "odd": (5, 7)}
    return {name: torch.randn(shape, generator=drawn) for name, shape in shapes.items()}


@pytest.fixture(params=TYPES)
def type(request: pytest.FixtureRequest) -> str:
    """Each that the gguf package writes."""
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path, tensors: dict[str, Tensor], type: str) -> Path:
    """The file."""
    return write_gguf(tmp_path / "w.gguf", tensors, type)


def test_headers_have_the_shapes_of_the_values(path: Path, tensors: dict[str, Tensor], type: str) -> None:
    weights = read_headers(path)
    assert weights.format == "gguf"
    assert weights.metadata["general.architecture"] == "flux"
    assert {name: header.shape for name, header in weights.tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in tensors.items()
    }
    assert weights.tensors["matrix"].dtype == type
    assert weights.tensors["bias"].dtype == "F32"


def test_tensors_have_the_values(path: Path, tensors: dict[str, Tensor], type: str) -> None:
    weights = read_headers(path)
    for name, tensor in tensors.items():
        read = weights.read(name)
        assert is_quantised(read) == (name == "matrix" and type.startswith("Q"))
        assert read.untyped_storage().nbytes() >= path.stat().st_size  # the mapped file, no copy
        values = dequantised(read, torch.float32) if is_quantised(read) else read.float()
        assert torch.equal(values, through(tensor, type))


def test_writing_to_a_tensor_does_not_change_the_file(path: Path, type: str) -> None:
    before = path.read_bytes()
    read_headers(path).read("bias").zero_()
    assert path.read_bytes() == before


@pytest.mark.parametrize("type", ["Q8_0"], indirect=True)
def test_a_truncated_file_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for length in (4, 20, 200, len(data) // 2, len(data) - 40):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError, match=r"damaged or not a GGUF file.*\n.*ends"):
            read_headers(path)


@pytest.mark.parametrize("type", ["Q8_0"], indirect=True)
def test_one_that_was_cut_after_its_headers_were_read_is_refused(path: Path) -> None:
    weights = read_headers(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ModelError, match="damaged"):
        weights.read("matrix")


def test_a_type_that_cannot_be_computed_with_is_refused(tmp_path: Path) -> None:
    kind = gguf.GGMLQuantizationType.IQ2_XXS
    writer = gguf.GGUFWriter(tmp_path / "w.gguf", "flux")
    writer.add_tensor("w", torch.zeros(2, gguf.GGML_QUANT_SIZES[kind][1], dtype=torch.uint8).numpy(), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    weights = read_headers(tmp_path / "w.gguf")
    assert weights.tensors["w"].dtype == "IQ2_XXS"
    with pytest.raises(ModelError, match="IQ2_XXS"):
        weights.read("w")
