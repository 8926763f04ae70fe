"""A setting that several threads share, such as the attention of a model in memory."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Event, Lock, get_ident
from time import monotonic
from typing import Generic, TypeVar

from latentry._errors import IncompatibleError

T = TypeVar("T")


class _Place:
    """A place in the line: who wants what, and since when."""

    def __init__(self, wanted: Hashable, due: float) -> None:
        self.wanted, self.due, self.thread, self.turn = wanted, due, get_ident(), Event()


class SharedSetting(Generic[T]):
    """Lets threads that want equal settings in together; a thread that wants another waits until they are out.

    The line is in order of due times: nobody is let in before one that is due earlier and wants another setting. So the
    wait of each is bounded by what is ahead of it, however many come later.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._line: list[_Place] = []
        self._inside: list[_Place] = []
        self._held: list[T] = []
        self._setting = ExitStack()

    @contextmanager
    def hold(
        self,
        wanted: Hashable,
        setting: Callable[[], AbstractContextManager[T]],
        *,
        due: float | None = None,
        wait: Callable[[Event], object] = Event.wait,
    ) -> Iterator[T]:
        """Holds a setting and gives what it gives. The first thread in enters it, the last one out leaves it.

        Args:
            wanted: equal for equal settings.
            setting: makes the context manager.
            due: the place in the line, on the clock of ``time.monotonic``; by default now.
            wait: waits for the event, or raises to leave the line.

        Raises:
            IncompatibleError: this thread already holds another setting, and would wait for itself.
        """
        place = _Place(wanted, monotonic() if due is None else due)
        with self._lock:
            nested = any(other.thread == place.thread for other in self._inside)
            if nested and self._inside[0].wanted != wanted:
                raise _waits_for_itself()
            # a thread that is inside goes on: those in the line wait for it already
            self._line.insert(0, place) if nested else insort(self._line, place, key=lambda each: each.due)
            self._call()
        try:
            while not (held := self._enter(place, setting)):
                wait(place.turn)
        except BaseException:
            with self._lock:
                self._line.remove(place)
                self._call()
            raise
        try:
            yield held[0]
        finally:
            self._leave(place)

    def _enter(self, place: _Place, setting: Callable[[], AbstractContextManager[T]]) -> list[T]:
        """What the setting gives, in a list; an empty one where the place's turn has not come."""
        with self._lock:
            if not self._may_enter(place):
                place.turn.clear()
                return []
            if not self._inside:
                self._held = [self._setting.enter_context(setting())]
            self._line.remove(place)
            self._inside.append(place)
            return self._held

    def _leave(self, place: _Place) -> None:
        with self._lock:
            self._inside.remove(place)
            try:
                if not self._inside:
                    self._held = []
                    self._setting.close()
            finally:
                self._call()

    def _may_enter(self, place: _Place) -> bool:
        ahead = self._line[: self._line.index(place)]
        return all(other.wanted == place.wanted for other in (*self._inside, *ahead))

    def _call(self) -> None:
        """Tells those whose turn has come."""
        for place in self._line:
            if not self._may_enter(place):
                return
            place.turn.set()


def _waits_for_itself() -> IncompatibleError:
    return IncompatibleError(
        "A request that was made while another one runs would wait for it forever.",
        why="Both use one model on one engine, with different attention, LoRAs, tiles or offload.",
        remedy="Make it when the first has finished, or use a second engine.",
    )
