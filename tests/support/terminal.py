"""Commands in a pseudo-terminal of a given width."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from unicodedata import east_asian_width

from support.commandline import clean_environment

STYLE = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Screen:
    """What a terminal shows.

    Attributes:
        code: the exit code.
        raw: with escapes.
    """

    code: int
    raw: str

    @property
    def lines(self) -> list[str]:
        """Without styles."""
        return STYLE.sub("", self.raw).replace("\r\n", "\n").splitlines()

    @property
    def styles(self) -> set[str]:
        """The escapes in it."""
        return set(STYLE.findall(self.raw))

    @property
    def width(self) -> int:
        """Columns of the longest line."""
        return max(sum(1 + (east_asian_width(letter) in "WF") for letter in line) for line in self.lines)


def on_terminal(*arguments: str, folder: Path, columns: int = 80, **environment: str) -> Screen:
    """Runs a command whose outputs are a terminal."""
    ours, theirs = pty.openpty()
    code = "import sys; from latentry_main import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=clean_environment() | {"COLUMNS": str(columns), "TERM": "xterm"} | environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    text = b"".join(_read(ours)).decode()
    os.close(ours)
    return Screen(process.wait(timeout=60), text)


def _read(terminal: int) -> Iterator[bytes]:
    with suppress(OSError):  # Linux reports the other end's leaving as an error
        while piece := os.read(terminal, 65_536):
            yield piece
