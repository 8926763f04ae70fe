"""Outputs that fail or that lack characters, and arguments that are not text."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.commandline import clean_environment

COMMAND = (sys.executable, "-c", "import sys; from latentry_main import main; sys.exit(main())")


def run(*arguments: str | bytes, out: int = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A command in a Python of its own, with outputs as bytes."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=clean_environment() | environment,
        stdout=out,
        stderr=subprocess.PIPE,
        check=False,
        timeout=300,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", [["schedulers", "--json"], ["--help"], ["sigmas"]])
def test_an_output_that_is_full_is_one_message(command: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = run(*command, out=full.fileno())
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["error: The output cannot be written: No space left on device."]


def test_a_reader_that_leaves_is_not_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run("schedulers", out=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=" ".join)
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "shift_jis"])
def test_a_listing_on_a_console_that_lacks_characters(encoding: str, options: list[str]) -> None:
    for command in ("sigmas", "families"):  # their summaries have Greek letters and signs
        done = run(command, *options, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode(encoding)


@pytest.mark.skipif(sys.platform == "win32", reason="arguments are text there")
@pytest.mark.parametrize(
    "arguments", [["show", b"\xff.png"], ["generate", b"a \xff"], ["generate", "a", "--model", b"\xff"]]
)
def test_an_argument_that_is_not_utf_8_is_one_message(arguments: list[str | bytes]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    error = done.stderr.decode()
    assert error.startswith("error: ")
    assert "Traceback" not in error
    assert "\\xff" in error or "unicode" in error.lower() or "\\udcff" in error


def test_the_words_of_the_progress_bar_have_the_terminals_own_colour(tmp_path: Path) -> None:
    """So that they are read on white and on black; the line beside them is red and grey."""
    code = (
        "import time\nfrom latentry._cli._printing._progress import following\nfrom latentry import ProgressEvent\n"
        "with following(silent=False) as progress:\n"
        "    for done in range(1, 4):\n"
        "        progress(ProgressEvent('sample', done, 8, 'Sampling'))\n        time.sleep(0.15)\n"
    )
    ours, theirs = pty.openpty()
    environment = clean_environment() | {"COLUMNS": "80", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end has left
        while piece := os.read(ours, 65_536):
            shown += piece
    os.close(ours)
    assert process.wait(60) == 0
    text = shown.decode()
    coloured = "".join(re.findall(r"\x1b\[[0-9;]*[1-9][0-9;]*m([^\x1b]*)", text))
    assert "Sampling" in text
    assert "/8" in text
    assert "━" in coloured
    assert not re.search(r"\w", coloured)
