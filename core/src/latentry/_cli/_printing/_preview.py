"""Showing pictures while they are drawn: in a file that is replaced, or in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from latentry._cli._printing._streams import is_terminal, print_error
from latentry._errors import OptionError

if TYPE_CHECKING:
    from PIL.Image import Image

    from latentry._contract._progress import Progress, ProgressEvent

TERMINAL = "terminal"
QUARTERS = 4
"""In a terminal pictures are shown at each of so many parts of a batch's steps but the last."""
SECONDS = 0.5
"""Between two writings of the file."""

Show = Callable[[list["Image"]], None]


def previewing(target: str, progress: Progress | None) -> Progress:
    """A progress that shows pictures as well.

    Args:
        target: a file, or ``terminal``.
        progress: what else is called with each event.

    Raises:
        OptionError: the file cannot hold a picture, or this terminal shows none.
    """
    due, show = (_QuarterDue(), _terminal()) if target == TERMINAL else (_TimeDue(), _file(Path(target)))

    def told(event: ProgressEvent) -> None:
        if event.glimpse is not None and due(event):
            if images := event.glimpse.images():
                show(list(images))
            elif due.once():
                print_error("note: --preview has no effect: this model has no previews.")
        if progress is not None:
            progress(event)

    return told


class _Due:
    """When a picture is to be shown."""

    def __init__(self) -> None:
        self._told = False

    def once(self) -> bool:
        """True the first time."""
        self._told, told = True, self._told
        return not told


class _QuarterDue(_Due):
    def __call__(self, event: ProgressEvent) -> bool:
        assert event.run is not None
        steps, index = len(event.run.plan), event.run.index
        return index < steps and index * QUARTERS // steps > (index - 1) * QUARTERS // steps


class _TimeDue(_Due):
    _last = float("-inf")

    def __call__(self, event: ProgressEvent) -> bool:
        now = monotonic()
        if now - self._last < SECONDS:
            return False
        self._last = now
        return True


def _file(path: Path) -> Show:
    from latentry._pictures._formats import format_of

    kind = format_of(path.suffix)
    if kind is None:
        raise OptionError(
            f"--preview {path}: its name does not end like a picture's.",
            remedy=f"Use .png, .jpg, .webp or .avif; or --preview {TERMINAL}.",
        )

    def show(images: list[Image]) -> None:
        beside = path.with_name(f".{path.name}.part")  # a viewer never sees half a file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _joined(images).save(beside, format=kind.name)
            beside.replace(path)
        except OSError as error:
            raise OptionError(
                f"--preview {path} cannot be written.", why=str(error), remedy="Choose another path."
            ) from error

    return show


def _terminal() -> Show:
    if not is_terminal(sys.stderr):
        raise OptionError(f"--preview {TERMINAL}: standard error is not a terminal.", remedy="Give a file.")
    try:
        with _on_standard_error():
            picture = import_module("textual_image.renderable").Image  # asks the terminal what it can show
    except ImportError as error:
        raise OptionError(
            f"--preview {TERMINAL}: textual-image is not installed.",
            why="It speaks the protocols of kitty and sixel, and draws with half blocks elsewhere.",
            remedy="pip install textual-image; or give a file.",
        ) from error
    from rich.console import Console

    def show(images: list[Image]) -> None:
        with _on_standard_error():
            Console(stderr=True).print(picture(_joined(images), width="50%", height="auto"))

    return show


@contextmanager
def _on_standard_error() -> Iterator[None]:
    """textual-image asks and tells the terminal on ``sys.__stdout__``, which may be a pipe that takes pictures."""
    output = sys.__stdout__
    sys.__stdout__ = sys.__stderr__  # type: ignore[misc]
    try:
        yield
    finally:
        sys.__stdout__ = output  # type: ignore[misc]


def _joined(images: list[Image]) -> Image:
    """The pictures of a batch side by side."""
    from PIL.Image import new

    whole = new("RGB", (sum(image.width for image in images), max(image.height for image in images)))
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width
    return whole
