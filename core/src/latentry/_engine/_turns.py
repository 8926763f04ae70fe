"""Requests that use one model at once, each with the attention it asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Lets in at once all who want the same setting of a shared thing; who wants another waits until they are out."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._inside: list[T] = []
        self._wanted: Hashable = None
        self._setting = ExitStack()

    @contextmanager
    def take(self, wanted: Hashable, setting: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
        """Holds the setting and gives what it gives; the first one in enters it, the last one out leaves it."""
        with self._condition:
            self._condition.wait_for(lambda: not self._inside or self._wanted == wanted)
            held = self._inside[0] if self._inside else self._setting.enter_context(setting())
            self._wanted = wanted
            self._inside.append(held)
        try:
            yield held
        finally:
            with self._condition:
                self._inside.pop()
                if not self._inside:
                    self._setting.close()
                self._condition.notify_all()
