"""What the package registers, and what ships with it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import latentry_shapes
from latentry_shapes._checkpoint import packaged

MEGABYTES, TOGETHER = 14, 60


def test_registers_its_models_and_one_default() -> None:
    specs = {spec.name: spec for spec in latentry_shapes.latentry_checkpoints()}
    assert set(specs) == set(packaged())
    assert [spec.name for spec in specs.values() if spec.default] == ["shapes"]
    assert {spec.size for spec in specs.values()} == {64}
    for name, spec in specs.items():
        module, attribute = spec.target.split(":")
        assert getattr(import_module(module), attribute)() == packaged()[name]


def test_registration_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'diffusers', 'transformers', 'numpy', 'scipy', 'PIL'}"
    code = f"import latentry_shapes, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", packaged())
def test_a_model_is_in_the_package_and_small(name: str) -> None:
    folder = packaged()[name]
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert folder / "model_index.json" in files
    assert sum(file.stat().st_size for file in files) <= MEGABYTES * 1_000_000
    assert {file.suffix for file in files} <= {".json", ".safetensors", ".txt"}


def test_all_models_together_stay_small() -> None:
    files = [file for folder in packaged().values() for file in folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= TOGETHER * 1_000_000
