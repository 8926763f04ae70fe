"""What the package registers, and what ships with it."""

from __future__ import annotations

import subprocess
import sys

import latentry_shapes
from latentry_shapes._checkpoint import folder

MEGABYTES = 14


def test_registers_one_default_checkpoint() -> None:
    (spec,) = latentry_shapes.latentry_checkpoints()
    assert (spec.name, spec.family, spec.variant, spec.size) == ("shapes", "latentry-sd:sd", "sd15", 64)
    assert spec.default
    assert spec.target == f"{folder.__module__}:{folder.__qualname__}"


def test_registration_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'diffusers', 'transformers', 'numpy', 'scipy', 'PIL'}"
    code = f"import latentry_shapes, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_model_is_in_the_package_and_small() -> None:
    files = [file for file in folder().rglob("*") if file.is_file()]
    assert folder() / "model_index.json" in files
    assert sum(file.stat().st_size for file in files) <= MEGABYTES * 1_000_000
    assert {file.suffix for file in files} <= {".json", ".safetensors", ".txt"}
