"""The linter keeps torch, diffusers and transformers out of the modules that every listing imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUFF = Path(sys.executable).with_name("ruff")
SPEC_MODULES = [
    "core/src/latentry/__init__.py",
    "core/src/latentry/_specs.py",
    "core/src/latentry/hookspecs.py",
    "core/src/latentry/_builtin.py",
    "plugins/latentry-ddim/src/latentry_ddim/__init__.py",
    "plugins/latentry-unipc/src/latentry_unipc/_sigmas.py",
    "plugins/latentry-new/src/latentry_new/__init__.py",
]
OTHERS = [
    "core/src/latentry/_numerics/_linear.py",
    "core/src/latentry/testing/__init__.py",
    "plugins/latentry-ddim/src/latentry_ddim/scheduler.py",
    "tests/conftest.py",
]

pytestmark = pytest.mark.skipif(not RUFF.exists(), reason="ruff comes with requirements-dev.txt")


def banned(file: str, source: str) -> list[str]:
    """The names of modules that the linter refuses in a file of that name."""
    command = [str(RUFF), "check", "--no-cache", "--select", "TID251", "--output-format", "concise"]
    done = subprocess.run(
        [*command, "--stdin-filename", file, "-"], input=source, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return [line.partition("`")[2].partition("`")[0] for line in done.stdout.splitlines() if "TID251" in line]


@pytest.mark.parametrize("file", SPEC_MODULES)
def test_a_spec_module_imports_nothing_heavy(file: str) -> None:
    assert banned(file, "import torch\n") == ["torch"]
    assert banned(file, "def late():\n    from diffusers import UNet2DModel\n") == ["diffusers"]
    assert banned(file, "try:\n    import transformers.models\nexcept ImportError: ...\n") == ["transformers"]
    assert banned(file, "import math\nfrom latentry import hookimpl\n") == []


@pytest.mark.parametrize("file", OTHERS)
def test_other_modules_may(file: str) -> None:
    assert banned(file, "import torch\n") == []


def test_every_spec_module_of_the_repository_is_covered(tmp_path: Path) -> None:
    """Of each, a copy with one planted import, under the same names and the same settings."""
    packages = [path.relative_to(ROOT) for path in ROOT.glob("plugins/*/src/*/__init__.py")]
    assert len(packages) > 20
    for path in packages:
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("import torch\n", encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [str(RUFF), "check", "--no-cache", "--select", "TID251", "--output-format", "concise", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert {Path(line.partition(":")[0]) for line in done.stdout.splitlines() if "TID251" in line} == set(packages)
