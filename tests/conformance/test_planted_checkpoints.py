"""Faults planted in the record and the files of an installed model are found by the check that is for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.distributions import CORE

from latentry import CheckpointSpec, PluginHost
from latentry.testing import KITS, PlainSubject

EXAMPLE = CORE.parent / "examples" / "swatches"
KIT = KITS["checkpoints"]
FILE = 'Path(__file__).parent / "swatches.safetensors"'


def record(right: str, wrong: str) -> Callable[[Path], None]:
    """A change of the record's module."""

    def change(folder: Path) -> None:
        file = folder / "__init__.py"
        text = file.read_text(encoding="utf-8")
        assert text.count(right) == 1, "the line has changed: plant the fault anew"
        file.write_text(text.replace(right, wrong), encoding="utf-8")

    return change


def in_a_folder(more: Callable[[Path], object]) -> Callable[[Path], None]:
    """The model is a folder with other files in it."""

    def change(folder: Path) -> None:
        (folder / "model").mkdir()
        more(folder / "model")
        record(FILE, 'Path(__file__).parent / "model"')(folder)

    return change


def cut(folder: Path) -> None:
    file = folder / "swatches.safetensors"
    file.write_bytes(file.read_bytes()[:9000])


def rewritten(folder: Path, *, metadata: str = "swatches", extra: bool = False, scale: float = 1.0) -> None:
    """The weights again, with another mark, a tensor too many, or other values."""
    file = folder / "swatches.safetensors"
    tensors = {name: tensor * scale for name, tensor in load_file(file).items()}
    save_file(tensors | ({"optimiser.step": torch.ones(1)} if extra else {}), file, metadata={"family": metadata})


FAULTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "no such file": ("files", record(FILE, 'Path("/nowhere/at/all.safetensors")')),
    "another path each time": (
        "files",
        lambda folder: (
            shutil.copy(folder / "swatches.safetensors", folder / "other.safetensors"),
            record(FILE, "Path(__file__).parent / NAMES.pop()")(folder),
            record("def weights", 'NAMES = ["swatches.safetensors", "other.safetensors"] * 9\n\n\ndef weights')(folder),
        ),
    ),
    "a file cut short": ("files", cut),
    "a pickle": ("files", in_a_folder(lambda folder: (folder / "model.ckpt").write_bytes(b"\x80\x02."))),
    "code": ("files", in_a_folder(lambda folder: (folder / "model.py").write_text("import os"))),
    "a licence in words": ("spec", record('licence="Apache-2.0"', 'licence="the Apache licence"')),
    "no size": ("spec", record("size=16", "size=0")),
    "a variant that the family does not have": (
        "spec",
        record('variant="swatches",\n        size', 'variant="patches",\n        size'),
    ),
    "a family that is not there": ("spec", record('family="swatches:swatches"', 'family="swatches:patches"')),
    "torch to say where the files are": ("listing", record("from pathlib", "import torch\nfrom pathlib")),
    "files that its family does not know": ("recognised", lambda folder: rewritten(folder, metadata="patches")),
    "a tensor too many": ("report", lambda folder: rewritten(folder, extra=True)),
    "values that are not finite": ("draws", lambda folder: rewritten(folder, scale=float("nan"))),
}


def results_of(folder: Path, change: Callable[[Path], object], *checks: str) -> list[str]:
    """The failed findings of the example with a change."""
    copy = Path(shutil.copytree(EXAMPLE, folder / "swatches", ignore=shutil.ignore_patterns("__pycache__")))
    change(copy)
    host = PluginHost(load=("latentry", "latentry-euler"), plugin_dirs=[copy])
    subject = PlainSubject.of("swatches", CheckpointSpec, host=host)
    found = [result for check in checks for result in KIT.run(subject, check) if not result.passed]
    assert all(len(result.hint) > 30 for result in found)
    return [str(result) for result in found]


@pytest.mark.parametrize("what", FAULTS)
def test_the_fault_is_found(tmp_path: Path, what: str) -> None:
    check, change = FAULTS[what]
    assert results_of(tmp_path, change, check)


def test_without_a_fault_it_passes(tmp_path: Path) -> None:
    assert results_of(tmp_path, lambda folder: None, *KIT.checks) == []
