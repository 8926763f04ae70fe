"""Ctrl-C, from the first import on until a picture is drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.commandline import clean_environment

PROGRAM = """
import os, signal
import latentry._generate._engine as engine

drawn = engine.Engine.generate

def interrupted(self, *args, progress=None, **kwargs):
    def follow(event):
        if event.stage == "sample" and event.done == 1:
            os.kill(os.getpid(), signal.SIGINT)
    return drawn(self, *args, progress=follow, **kwargs)

engine.Engine.generate = interrupted
from latentry._cli import main
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(sys.argv[1:]))
"""


WHILE_IMPORTING = """
import os, signal, sys

module = sys.argv.pop(1)

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
from latentry_main import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("module", "command"),
    [
        *((module, ["schedulers"]) for module in ("latentry", "latentry._discovery", "pluggy", "click")),
        *((module, ["schedulers"]) for module in ("latentry._cli._app", "latentry_ddim")),
        *((module, ["generate", "a", "--quiet"]) for module in ("pydantic", "torch")),
    ],
)
def test_start_up_ends_as_one_line(tmp_path: Path, module: str, command: list[str]) -> None:
    """The signal arrives in the middle of an import."""
    done = subprocess.run(
        [sys.executable, "-c", WHILE_IMPORTING, module, *command],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "latentry: cancelled\n")
    assert os.listdir(tmp_path) == []


def test_it_ends_as_one_line(tiny: Path, tmp_path: Path) -> None:
    """The process sends itself the signal in the middle of its second step."""
    command = ["generate", "a", "--model", str(tiny), "--steps", "50", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "latentry: cancelled\n")
    assert os.listdir(tmp_path) == []
