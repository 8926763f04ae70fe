"""The arithmetic of ``python benchmarks``; what it measures is never asserted."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def paired(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import _paired

    return _paired


@pytest.mark.slow
def test_both_ways_take_turns_and_each_begins_as_often(paired: ModuleType) -> None:
    calls: list[str] = []
    found = paired.paired(lambda: calls.append("a"), lambda: calls.append("b"), 4, warm=1)
    assert calls[:2] == ["a", "b"]
    assert calls[2:] == ["b", "a", "a", "b"] * 2
    assert len(found.ours) == len(found.theirs) == 4


def test_the_ratio_is_of_the_smallest_times_and_the_spread_of_the_rounds(paired: ModuleType) -> None:
    row = paired.Paired((3.0, 2.0, 8.0), (4.0, 5.0, 4.0), (1.0, 3.0, 2.0), (2.0, 4.0, 8.0)).row()
    assert (row["ours"], row["theirs"], row["of_minima"], row["median"]) == (2.0, 4.0, 0.5, 0.75)
    assert row["quartiles"] == [0.4, 2.0]
    assert row["cpu_of_minima"] == 0.5
    line = paired.table("what", [{"name": "one", **row}], "ms", 1000).splitlines()[-1]
    assert line == "| one | 2,000 | 4,000 | 0.75 | 0.40 to 2.00 | 0.50 | 0.50 |"


def test_an_unknown_part_is_refused() -> None:
    done = subprocess.run([sys.executable, str(FOLDER), "warmth"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown part warmth" in done.stderr


def test_live_bytes_are_those_of_tensors_that_are_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """With pointwise operations on 64 times the channels, a quarter of the sides needs a sixteenth beside the sums."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import tiles
    import torch

    x = torch.zeros(1000, device="meta")  # 4 kB
    with tiles.LiveBytes() as live:
        y = x + 1
        y.mul_(2).view(10, 100)
        z = y + 1
        del y
        z = z + 1  # three of them for a moment, less the first
        torch.cat([z, z, z])
    assert live.peak == 4 * 4000

    def sample(side: int) -> torch.Tensor:
        return torch.zeros(1, 4, side, side, device="meta")

    def network(x: torch.Tensor) -> torch.Tensor:
        return torch.repeat_interleave(x, 64, 1)[:, ::64] * 1.0

    one = 4 * 4 * 256**2
    whole, tiled = tiles.peaks(sample, network, 2048, 512)
    assert whole == 65 * one
    assert 64 * one / 16 < tiled < 64 * one / 16 + 4 * one


@pytest.mark.slow
def test_the_gpu_part_runs_whole_on_a_cpu(tmp_path: Path) -> None:
    """With a tiny network: every way has a row with figures, and a backend that cannot serve has its reason."""
    written = tmp_path / "gpu.json"
    command = [sys.executable, str(FOLDER / "gpu.py"), "--size", "tiny", "--device", "cpu", "--repeats", "1"]
    command += ["--backends", "native,sdpa,flash", "--no-compile", "--offload", "--json", str(written)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {row["way"]: row for row in json.loads(written.read_text())["rows"]}
    offloaded = ("latentry, offload blocks", "latentry, offload blocks, prefetch")
    for way in ("diffusers, eager", "latentry, native, eager", "latentry, sdpa, eager", *offloaded):
        assert min(found[way]["evaluation_s"], found[way]["floor_s"]) > 0
        assert found[way]["pictures_per_s"] > 0
    assert "failed" in found["latentry, flash, eager"]


def test_only_the_tables_of_measured_parts_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("benchmarks_main", FOLDER / "__main__.py")
    assert spec is not None and spec.loader is not None
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    blocks = "<!-- benchmarks: {0} -->\n{1}\n<!-- end of {0} -->\n"
    page = f"a\n{blocks.format('warm', 'old')}b\n{blocks.format('first', 'kept')}"
    renewed = command.renewed(page, {"warm": "| new |", "steps": "nowhere"})
    assert renewed == page.replace("old", "| new |")
    assert command.renewed(renewed, {"warm": "| new |"}) == renewed


def test_every_part_has_one_place_in_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    from _parts import PARTS  # type: ignore[import-not-found]

    root = FOLDER.parent
    pages = "".join((root / page).read_text() for page in ("docs/speed.md", "docs/memory.md", "benchmarks/README.md"))
    for name in PARTS:
        assert pages.count(f"<!-- benchmarks: {name} -->\n") == pages.count(f"<!-- end of {name} -->") == 1
