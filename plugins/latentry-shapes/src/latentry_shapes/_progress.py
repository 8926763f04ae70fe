"""Progress on standard error: a bar on a terminal, otherwise a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Report = Callable[[int, str], None]
"""Called with the number of items done and a short note."""
Show = Callable[[str, int, int], AbstractContextManager[Report]]
"""Called with a title, the number of items done at the start, and the total."""

LINE_EVERY = 10.0
"""Seconds between lines, without a terminal."""


@contextmanager
def progress(title: str, start: int, total: int) -> Iterator[Report]:
    """Shows progress from ``start`` to ``total`` on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title, start, total)
        return
    title_and_bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    left_and_note = (TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*title_and_bar, *left_and_note, console=console) as bar:
        task = bar.add_task(title, completed=start, total=total, note="")
        yield lambda done, note: bar.update(task, completed=done, note=note)


def _lines(title: str, start: int, total: int) -> Report:
    began = last = time.monotonic()

    def report(done: int, note: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < LINE_EVERY and done < total:
            return
        last = now
        left = (now - began) / max(done - start, 1) * (total - done)
        words = f"{title} {done}/{total} {note}".rstrip()
        print(f"{words}, {left / 60:.1f} min left", file=sys.stderr, flush=True)

    return report
