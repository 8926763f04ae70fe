"""A setting that several threads share, such as the attention of a model in memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Condition, get_ident
from typing import Generic, TypeVar

from latentry._errors import IncompatibleError

T = TypeVar("T")


class SharedSetting(Generic[T]):
    """Lets threads that want equal settings in together; a thread that wants another waits until they are out."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._inside: list[tuple[int, T]] = []
        self._wanted: Hashable = None
        self._setting = ExitStack()

    @contextmanager
    def hold(self, wanted: Hashable, setting: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
        """Holds a setting and gives what it gives. The first thread in enters it, the last one out leaves it.

        Args:
            wanted: equal for equal settings.
            setting: makes the context manager.

        Raises:
            IncompatibleError: this thread already holds another setting, and would wait for itself.
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
        "A request that was made while another one runs would wait for it forever.",
        why="Both use one model on one engine, with different attention, LoRAs, tiles or offload.",
        remedy="Make it when the first has finished, or use a second engine.",
    )
