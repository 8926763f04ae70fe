"""Following a generation: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from latentry._cli._printing._streams import is_terminal
from latentry._errors import visible

if TYPE_CHECKING:
    from latentry._contract._progress import Progress, ProgressEvent


RED = "rgb(249,38,114)"


@contextmanager
def following(*, silent: bool) -> Iterator[Progress | None]:
    """What to give to the engine as ``progress``; warnings of the library go to standard error meanwhile."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    handler.setLevel(logging.WARNING)
    logger = logging.getLogger("latentry")
    logger.addHandler(handler)
    try:
        if silent:
            yield None
        elif is_terminal(sys.stderr):
            with _bar() as progress:
                yield progress
        else:
            yield _lines()
    finally:
        logger.removeHandler(handler)


@contextmanager
def _bar() -> Iterator[Progress]:
    """Words in the terminal's own colour, since green and cyan ones are hard to read on white.

    The bar's colours are not of the terminal's palette, and stand out from white and from black.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.theme import Theme

    bar_styles = {"bar.back": "grey50", "bar.complete": RED, "bar.finished": RED, "bar.pulse": RED}
    theme = Theme({"progress.download": "none", "progress.remaining": "none", **bar_styles})
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True, theme=theme), transient=True) as bar:
        task = bar.add_task("Starting", total=None)

        def progress(event: ProgressEvent) -> None:
            text = escape(visible(event.text))
            bar.update(task, description=text, completed=event.done, total=event.total or None)

        yield progress


def _lines() -> Progress:
    """A line for each stage, and for each tenth of the sampling."""
    said: set[str] = set()

    def progress(event: ProgressEvent) -> None:
        tenth = event.done * 10 // event.total if event.total else 0
        text = f"{event.text} {event.done}/{event.total}" if event.stage == "sample" else event.text
        key = f"{event.stage} {tenth}" if event.stage == "sample" else text
        if key not in said:
            said.add(key)
            print(visible(text), file=sys.stderr, flush=True)

    return progress
