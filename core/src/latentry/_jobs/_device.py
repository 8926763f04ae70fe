"""One thread in which the networks of all jobs run, many of their evaluations in one pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import TypeVar

import torch
from torch import Tensor

from latentry._discovery import is_out_of_memory
from latentry._jobs._shared import Shared

T = TypeVar("T")
IDLE = 1.0
"""Seconds after which a thread without work ends; the next work starts another."""


@dataclass(eq=False)
class _Asked:
    """What waits for its pass."""

    work: Shared
    kind: Hashable = field(init=False)
    answer: Future[Tensor] = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.kind = self.work.kind


class Device:
    """Runs networks for jobs. A pass begins when all that sample wait for one, so that they go through together.

    What has waited longest chooses the network, decoding before evaluations, and takes along those that can share its
    pass, in the order of their arrival. Where there are more rows than fit, the others are first in the next pass, so
    that a long run cannot hold up a short one. A pass that fails is repeated in halves, so that a request fails by its
    own fault alone, and where memory ran out the halves stay the limit.

    Attributes:
        batch_invariant: each has a pass of its own, and gives the bits that it gives alone.
    """

    def __init__(self, *, batch_invariant: bool = False) -> None:
        self.batch_invariant = batch_invariant
        self._changed = Condition()
        self._members = 0
        self._asked: list[_Asked] = []
        self._works: deque[Callable[[], None]] = deque()
        self._most: dict[Hashable, int] = {}
        self._running = False

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Around the evaluations of a run: passes wait for it."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within ``sampling``, around what may take long, such as a callback: passes do not wait meanwhile."""
        self._count(-1)
        try:
            yield
        finally:
            self._count(1)

    def share(self, work: Shared) -> Future[Tensor]:
        """Has work go through its network, in company."""
        asked = _Asked(work)
        with self._changed:
            self._asked.append(asked)
            self._wake()
        return asked.answer

    def run(self, work: Callable[[], T]) -> Future[T]:
        """Has work done between two passes, which takes a network for itself: encoding."""
        done: Future[T] = Future()

        def settle() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(work())
                except BaseException as error:
                    done.set_exception(error)

        with self._changed:
            self._works.append(settle)
            self._wake()
        return done

    def _count(self, change: int) -> None:
        with self._changed:
            self._members += change
            self._wake()

    def _wake(self) -> None:
        if not self._running:
            self._running = True
            Thread(target=self._loop, name="latentry-device", daemon=True).start()
        self._changed.notify_all()

    @torch.no_grad()
    def _loop(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(self._ready, IDLE):
                    self._running = False
                    return
                work = self._works.popleft() if self._works else None
                chosen = [] if work else self._choose()
            if work:
                work()
            else:
                self._make(chosen)
            del work, chosen  # the pictures in them are not kept while it waits

    def _ready(self) -> bool:
        self._asked = [asked for asked in self._asked if not asked.answer.cancelled()]
        return bool(self._works) or (bool(self._asked) and len(self._asked) >= self._members)

    def _choose(self) -> list[_Asked]:
        """The evaluations of the next pass, which no longer wait."""
        first = next((asked for asked in self._asked if asked.work.urgent), self._asked[0])
        chosen, rows, most = [first], first.work.size, self._limit(first.work)
        for asked in self._asked:
            if asked is not first and asked.kind == first.kind and rows + asked.work.size <= most:
                chosen.append(asked)
                rows += asked.work.size
        self._asked = [asked for asked in self._asked if asked not in chosen]
        return [asked for asked in chosen if asked.answer.set_running_or_notify_cancel()]

    def _limit(self, work: Shared) -> int:
        return 0 if self.batch_invariant else min(self._most.get(work.place, work.most), work.most)

    def _make(self, several: Sequence[_Asked]) -> None:
        if not several:
            return
        first = several[0].work
        try:
            outputs = first.together([asked.work for asked in several])
        except BaseException as error:
            if len(several) == 1:
                several[0].answer.set_exception(error)
                return
            if is_out_of_memory(error):
                self._most[first.place] = max(1, sum(asked.work.size for asked in several) // 2)
        else:
            for asked, output in zip(several, outputs, strict=True):
                asked.answer.set_result(output)
            return
        half = len(several) // 2
        self._make(several[:half])
        self._make(several[half:])
