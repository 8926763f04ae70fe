"""``latentry doctor`` looks at the machine, and its report has no paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commandline import CommandLine

from latentry._cli._doctor._finding import Finding


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with a cache in it."""
    folder = tmp_path / "secret-name" / ".cache" / "huggingface" / "hub" / "models--a--b"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(1_500_000))
    return tmp_path / "secret-name"


def environment(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "HF_HOME": "", "HF_HUB_CACHE": ""}


def test_a_sound_installation_has_no_problem(latentry: CommandLine, home: Path) -> None:
    done = latentry("doctor", "--json", folder=home, environment=environment(home))
    assert done.code == 0, done.out
    found = {item["topic"]: item["text"] for item in json.loads(done.out)}
    assert {"core", "python", "device", "plugins", "attention", "folders", "cache"} <= set(found)
    assert found["cache"].startswith("the Hub's cache holds 1.5 MB")
    told = latentry("doctor", folder=home, environment=environment(home)).out
    assert str(home) in "".join(told.split())
    assert all(line.split()[0] in ("ok", "note", "problem") for line in told.splitlines() if not line.startswith(" "))


def test_a_report_has_no_private_paths(latentry: CommandLine, home: Path) -> None:
    for options in (["--report"], ["--report", "--json"]):
        done = latentry("doctor", *options, folder=home, environment=environment(home))
        assert done.code == 0
        assert str(home.parent) not in done.out
        assert "/secret-name/" not in done.out
        assert "the Hub's cache holds 1.5 MB" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at /home/someone/models/x.safetensors: gone", "at …/x.safetensors: gone"),
        ("~/private/file (see /a/b)", "…/file (see …/b)"),
        ("C:\\Users\\someone\\x.bin", "…/x.bin"),
        ("pip install latentry-ddim==0.1.0", "pip install latentry-ddim==0.1.0"),
        ("1/2 of latentry-sd:sd and/or more", "1/2 of latentry-sd:sd and/or more"),
        ("see https://pytorch.org/get-started", "see https://pytorch.org/get-started"),
    ],
)
def test_of_a_path_the_last_part_is_left(text: str, expected: str) -> None:
    found = Finding("a", "note", text, text).without_paths()
    assert (found.text, found.remedy) == (expected, expected)
