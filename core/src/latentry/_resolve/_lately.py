"""What was found out lately, by what it was found out for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

CAPACITY = 64
"""How many values are remembered; the least recently used goes first."""
T = TypeVar("T")


class Lately(Generic[T]):
    """The last values; usable from any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[object, T]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, key: Hashable, of: object, find: Callable[[], T]) -> T:
        """The remembered value, else what ``find`` gives.

        Args:
            key: where it is looked up.
            of: what it depends on, compared by value; need not be hashable.
            find: called, outside the lock, where nothing is remembered for an equal ``of``.
        """
        with self._lock:
            kept = self._kept.get(key)
        found = kept[1] if kept is not None and kept[0] == of else find()
        with self._lock:
            self._kept[key] = of, found
            self._kept.move_to_end(key)
            while len(self._kept) > CAPACITY:
                self._kept.popitem(last=False)
        return found
