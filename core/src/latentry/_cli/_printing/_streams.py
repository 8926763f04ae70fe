"""Standard output and standard error: every text can be printed, and an output that fails ends in one message."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from shutil import get_terminal_size
from textwrap import TextWrapper
from typing import TextIO

NARROWEST = 20
"""Columns below which nothing is fitted."""


def prepare_streams() -> None:
    """Make characters that an output's encoding lacks appear as escapes, instead of ending in an error.

    Consoles with other encodings than UTF-8 are usual on Windows; file names can hold any bytes.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def speaks_unicode(stream: TextIO | None) -> bool:
    """Whether every character can be written to a stream as it is."""
    return str(getattr(stream, "encoding", None) or "").lower().replace("-", "").startswith("utf")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; one that is closed is not."""
    return stream is not None and not stream.closed and stream.isatty()


def flush_output() -> None:
    """Write what is still in Python's buffer, so that an error appears here and not after the end of ``main``.

    Raises:
        OSError: the output cannot be written.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def abandon_output() -> None:
    """Send what is still in the buffer nowhere: Python flushes at exit and would print the error a second time."""
    if isinstance(sys.stdout, TextIOWrapper):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def print_message(text: str) -> None:
    """Print lines for people to standard error; in a terminal, no word is broken at its edge."""
    if is_terminal(sys.stderr):
        wide = max(get_terminal_size().columns, NARROWEST)
        fitted = TextWrapper(wide, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        text = "\n".join(fitted.fill(line) if len(line) > wide else line for line in text.split("\n"))
    print_error(text)


def print_error(text: str) -> None:
    """Print to standard error; where even that fails, the exit code has to do."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
