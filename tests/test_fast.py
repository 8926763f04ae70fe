"""``pytest -m "not slow"`` leaves something of every package, and every check of the kit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from latentry import testing

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fast() -> list[str]:
    """The tests that it runs."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"
    }  # -v would print a tree
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_every_package_keeps_a_fast_test(fast: list[str]) -> None:
    packages = {"core", *(path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("plugins/*/pyproject.toml"))}
    assert {package for package in packages if not any(test.startswith(f"{package}/tests/") for test in fast)} == set()


@pytest.mark.parametrize("suite", [name for name in testing.__all__ if name.endswith("Suite")])
def test_every_check_of_the_kit_keeps_a_fast_test(fast: list[str], suite: str) -> None:
    checks = {name for name in vars(getattr(testing, suite)) if name.startswith("test_")}
    run = {test.rpartition("::")[2].partition("[")[0] for test in fast if "::Test" in test}
    assert checks
    assert checks <= run


def test_some_are_slow(fast: list[str]) -> None:
    assert not any("::TestUniPC::test_convergence" in test for test in fast)
    assert any("::test_convergence" in test for test in fast)
