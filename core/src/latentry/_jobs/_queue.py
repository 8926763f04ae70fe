"""Which job is drawn next, and the threads that draw them."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from threading import Lock, Thread
from time import monotonic
from typing import NamedTuple

PATIENCE = 600.0
"""Seconds after which a job without a deadline is due. Later jobs cannot overtake it for longer than that."""
MINUTE = 60.0
"""Seconds that one degree of priority is worth."""
LIVE = 64
"""How many jobs are under way at the same time; each holds its latents and the encoding of its prompts."""


class Due(NamedTuple):
    """The order of jobs: by the moment at which each is due, on one clock, so that every job's turn comes.

    Attributes:
        at: in seconds.
        number: of the job; equal moments are taken in order of arrival.
    """

    at: float
    number: int


class JobQueue:
    """Threads that take jobs in their order, and end when none is left.

    Args:
        live: how many jobs are under way at the same time.
    """

    def __init__(self, live: int = LIVE) -> None:
        self._most, self._lock, self._numbers = live, Lock(), count()
        self._waiting: list[tuple[Due, Callable[[], None]]] = []
        self._threads = 0

    def due(self, priority: float = 0, deadline: float | None = None) -> Due:
        """When a job that arrives now is due.

        Args:
            priority: each degree is worth a minute of waiting.
            deadline: in seconds from now.
        """
        patience = PATIENCE if deadline is None else min(deadline, PATIENCE)
        return Due(monotonic() + patience - priority * MINUTE, next(self._numbers))

    def put(self, due: Due, work: Callable[[], None]) -> None:
        """Has work done in its turn, in a thread of the queue. It must not raise."""
        with self._lock:
            heapq.heappush(self._waiting, (due, work))
            start = self._threads < self._most
            self._threads += start
        if start:
            Thread(target=self._work, name="latentry-job").start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                _, work = heapq.heappop(self._waiting)
            work()
            del work  # what it holds is not kept while the thread waits
