"""Requests that use one model at once, each with the attention it asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Condition, get_ident
from typing import Generic, TypeVar

from latentry._errors import IncompatibleError

T = TypeVar("T")


class Turns(Generic[T]):
    """Lets in at once all who want the same setting of a shared thing; who wants another waits until they are out."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._inside: list[tuple[int, T]] = []
        self._wanted: Hashable = None
        self._setting = ExitStack()

    @contextmanager
    def take(self, wanted: Hashable, setting: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
        """Holds the setting and gives what it gives; the first one in enters it, the last one out leaves it.

        Raises:
            IncompatibleError: the thread itself is inside with another setting, and would wait for itself.
        """
        me = get_ident()
        with self._condition:
            if self._wanted != wanted and any(thread == me for thread, _ in self._inside):
                raise _waits_for_itself()
            self._condition.wait_for(lambda: not self._inside or self._wanted == wanted)
            held = self._inside[0][1] if self._inside else self._setting.enter_context(setting())
            self._wanted = wanted
            self._inside.append((me, held))
        try:
            yield held
        finally:
            with self._condition:
                self._inside.remove((me, held))
                if not self._inside:
                    self._setting.close()
                self._condition.notify_all()


def _waits_for_itself() -> IncompatibleError:
    return IncompatibleError(
        "A request from within another one would wait for it forever.",
        why="Both use one model on one engine and set it differently, in attention, tiles or offload.",
        remedy="Ask when the first is done, or use an engine of its own.",
    )
