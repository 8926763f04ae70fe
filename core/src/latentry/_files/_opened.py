"""Checkpoints that were opened for earlier requests, while their files do not change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from latentry._contract._model import Checkpoint
from latentry._errors import ModelError
from latentry._files._finding._locate import Located
from latentry._files._fingerprint import Stamps, stamps_of

CAPACITY = 4
"""How many opened checkpoints are kept; the least recently used goes first."""


class Asked(NamedTuple):
    """What an opened checkpoint depends on besides the content of its files.

    Attributes:
        model: what it was called.
        path: of its files, absolute.
        variant: that was asked for.
        without: optional parts that are left out.
    """

    model: str
    path: Path
    variant: str | None
    without: tuple[str, ...]


class OpenedCheckpoints:
    """Keeps what was read of the headers and configurations of checkpoints on this machine.

    One is opened again where a file of it was changed, replaced, added or removed (see ``stamps_of``). Those of model
    sources and those with parts given apart are opened every time.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Asked, tuple[Stamps, Located, Checkpoint]] = OrderedDict()

    def __call__(self, asked: Asked, opened: Callable[[], tuple[Located, Checkpoint]]) -> tuple[Located, Checkpoint]:
        """The checkpoint that was asked for.

        Args:
            asked: which one.
            opened: finds and opens it.
        """
        stamps, kept = _stamps(asked.path), self._kept.get(asked)
        if kept is not None and kept[0] == stamps:
            return kept[1:]
        found = opened()
        if stamps is not None and found[0].files.path == asked.path and found[0].commit is None:
            self._kept[asked] = stamps, *found
            self._kept.move_to_end(asked)
            while len(self._kept) > CAPACITY:
                self._kept.popitem(last=False)
        return found


def _stamps(path: Path) -> Stamps | None:
    """None where they cannot be read: opening then says why."""
    try:
        return stamps_of(path)
    except (OSError, ModelError, ValueError):
        return None
