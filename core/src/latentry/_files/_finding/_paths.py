"""Texts that are paths: whether they exist, and whether they are meant as a path at all."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from latentry._errors import ModelError
from latentry._files._formats import PICKLES, WEIGHT_SUFFIXES

_SUFFIXES = (*PICKLES, *WEIGHT_SUFFIXES, ".json")
_ROOTED = re.compile(r"[/~\\]|\.{1,2}(?:[/\\]|$)|[A-Za-z]:[/\\]")
"""How a path begins that no name of a model source begins like: ``/``, ``~``, ``./``, ``../``, ``C:\\``."""


def existing(text: str) -> Path | None:
    """The file or folder that a text names; None if there is none.

    Raises:
        ModelError: it cannot be looked up for lack of permission.
    """
    if not text or "\0" in text:
        return None
    try:
        path = Path(text).expanduser()
        path.stat()
    except PermissionError as error:
        raise unreadable(Path(text), error) from error
    except (OSError, RuntimeError, ValueError):  # not there, no such user, or a name that no file can have
        return None
    return path


def looks_like_path(text: str) -> bool:
    """Whether a text is meant as a path, so that no model source is asked about it.

    It begins like one, ends in a slash, begins with a file or folder that exists here, or is a file of weights in at
    most one folder. ``owner/name@revision`` is never meant as one.
    """
    if rooted(text):
        return True
    if "@" in text:
        return False
    first, *rest = text.split("/")
    return (len(rest) <= 1 and text.endswith(_SUFFIXES)) or existing(first) is not None


def rooted(text: str) -> bool:
    """Whether a text is spelled as only a path is, whatever exists."""
    return bool(_ROOTED.match(text)) or text.endswith(("/", "\\")) or "\\" in text or "\0" in text


def similar(text: str) -> tuple[str, ...]:
    """Existing paths that a text may be a misspelling of."""
    folder, slash, name = text.rpartition("/")
    parent = existing(folder or (slash or "."))
    if parent is None or not parent.is_dir():
        return ()
    try:
        names = [entry.name for _, entry in zip(range(1000), parent.iterdir(), strict=False)]
    except OSError:
        return ()
    return tuple(f"{folder}{slash}{near}" for near in get_close_matches(name, names, n=2))


def unreadable(path: Path, error: OSError) -> ModelError:
    """The error for a file or folder that the operating system does not let us read."""
    return ModelError(
        f"{path} cannot be read.",
        why=error.strerror or type(error).__name__,
        remedy="Check its permissions, or give another path.",
    )
