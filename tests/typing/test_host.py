"""The typed example host passes type checkers as their users have them: strict, and without a plug-in of pydantic's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

HOST = Path(__file__).with_name("host.py")
CHECKERS = {
    "mypy": ("mypy", "--strict", "--config-file="),
    "pyright": ("pyright", "--pythonpath", sys.executable),
}
PLANTED = {
    "a value that the field cannot have": ('offload="model"', 'offload="moon"'),
    "a field that is unknown": ("prompt=prompt, seed", "promt=prompt, seed"),
    "a request without a prompt": ('GenerationRequest(prompt="x")', "GenerationRequest()"),
}


def check(checker: Sequence[str], file: Path) -> subprocess.CompletedProcess[str]:
    """Run a type checker on one file, away from the configuration of this repository."""
    command = [sys.executable, "-m", *checker, str(file)]
    return subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=CHECKERS)
def checker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """A type checker that is installed."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    if request.param == "pyright" and which("node") is None:
        pytest.skip("pyright runs on node, which is not on the path")
    cache = ("--cache-dir", str(tmp_path_factory.mktemp("cache"))) if request.param == "mypy" else ()
    return (*CHECKERS[request.param], *cache)


@pytest.mark.slow
def test_the_example_host_passes(checker: Sequence[str]) -> None:
    done = check(checker, HOST)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_planted_fault_is_found(checker: Sequence[str], tmp_path: Path) -> None:
    """All at once, for a checker takes seconds: each fault on a line of its own."""
    text = HOST.read_text()
    for right, wrong in PLANTED.values():
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    planted = tmp_path / "host.py"
    planted.write_text(text)
    done = check(checker, planted)
    lines = {int(line.split(":")[1]) for line in done.stdout.splitlines() if "error" in line and "host.py:" in line}
    faulty = {number for number, line in enumerate(text.splitlines(), 1) if any(w in line for _, w in PLANTED.values())}
    assert done.returncode == 1
    assert lines == faulty, done.stdout


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pyright") is None or which("node") is None, reason="pyright or node is not installed")
def test_pyright_passes_the_tests() -> None:
    """With the configuration of this repository, which says what is left out and why."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = [line for line in done.stdout.splitlines() if line.startswith("0 errors")]
    assert checked
