"""Safetensors files that are written one tensor at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from latentry_diffusers.files.safetensors_writer import NAMES, Entry, write_safetensors


def entries(tensors: dict[str, Tensor]) -> list[Entry]:
    return [Entry(name, tuple(t.shape), t.dtype, lambda t=t: t) for name, t in tensors.items()]


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    """Of every dtype, with shapes that are out of the way."""
    drawn = torch.Generator().manual_seed(0)
    made = {}
    for number, (dtype, name) in enumerate(NAMES.items()):
        made[f"{'ba'[number % 2]}{name}"] = (torch.rand((3, 5), generator=drawn) * 100).to(dtype)
    return made | {"one": torch.tensor(2.5), "none": torch.empty(0), "ünicode": torch.rand((1, 2, 3), generator=drawn)}


def test_the_file_is_the_librarys_byte_for_byte(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "theirs", metadata={"format": "pt"})
    written = [entry.name for entry in write_safetensors(tmp_path / "ours", entries(tensors), {"format": "pt"})]
    assert sorted(written) == sorted(tensors)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_view_is_written_as_it_reads_and_in_the_dtype_that_was_planned(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    planned = [
        Entry("turned", (4, 3), torch.float16, lambda: whole.T),
        Entry("cut", (3, 2), torch.float32, lambda: whole[:, ::2]),
    ]
    list(write_safetensors(tmp_path / "file", planned, {}))
    found = load_file(tmp_path / "file")
    assert torch.equal(found["turned"], whole.T.half())
    assert torch.equal(found["cut"], whole[:, ::2])


def test_no_more_than_one_tensor_is_read_at_a_time(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    asked: list[str] = []
    watched = [e._replace(read=lambda e=e: (asked.append(e.name), e.read())[1]) for e in entries(tensors)]
    for number, entry in enumerate(write_safetensors(tmp_path / "file", watched, {}), 1):
        assert (len(asked), asked[-1]) == (number, entry.name)
