"""The events of a job, for any number of readers, in threads and in event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from threading import Condition

from latentry._jobs._events import Ended, JobEvent, Previewed


class EventLog:
    """Every reader gets all events from the first, whenever it comes, and of each picture's previews the latest."""

    def __init__(self) -> None:
        self._events: list[JobEvent | None] = []
        self._changed = Condition()
        self._watchers: list[Callable[[], None]] = []

    def append(self, event: JobEvent) -> None:
        """Adds an event and wakes the readers. After ``Ended`` nothing is added."""
        with self._changed:
            if self._events and isinstance(self._events[-1], Ended):
                return
            if isinstance(event, Previewed):
                self._forget(event.index)
            self._events.append(event)
            self._changed.notify_all()
            watchers = tuple(self._watchers)
        for watcher in watchers:
            watcher()

    def __iter__(self) -> Iterator[JobEvent]:
        """The events, until the job has ended; waits for each."""
        position = 0
        while True:
            with self._changed:
                while position >= len(self._events):
                    self._changed.wait()
                event = self._events[position]
            position += 1
            if event is not None:
                yield event
            if isinstance(event, Ended):
                return

    async def __aiter__(self) -> AsyncIterator[JobEvent]:
        """The same in an event loop, which is not kept waiting."""
        loop, arrived, position = asyncio.get_running_loop(), asyncio.Event(), 0

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed: its reader was dropped
                loop.call_soon_threadsafe(arrived.set)

        self._watchers.append(wake)
        try:
            while True:
                arrived.clear()
                with self._changed:
                    new = self._events[position:]
                position += len(new)
                for event in new:
                    if event is not None:
                        yield event
                    if isinstance(event, Ended):
                        return
                await arrived.wait()
        finally:
            self._watchers.remove(wake)

    def _forget(self, index: int) -> None:
        """Drops the earlier preview of a picture, so that a long run does not hold hundreds."""
        for position in range(len(self._events) - 1, -1, -1):
            event = self._events[position]
            if isinstance(event, Previewed) and event.index == index:
                self._events[position] = None
                return
