"""With whom a drawing shares networks, and who may end it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Event
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from latentry._contract._model import Model
from latentry._guidance._rows import Rows
from latentry._jobs._course import OF_THE_JOB, WISHES, Course, Wish
from latentry._jobs._device import Device
from latentry._jobs._queue import Due
from latentry._jobs._shared import Decoding, Evaluation

T = TypeVar("T")


class Company(Protocol):
    """What a drawing asks of its surroundings."""

    @property
    def due(self) -> float | None:
        """Its place among those that wait for a model's settings; None for that of its arrival there."""
        ...

    @property
    def shared(self) -> bool:
        """Whether its evaluations may share passes."""
        ...

    def predict(self, rows: Rows) -> Tensor:
        """The network's output for rows."""
        ...

    def decode(self, model: Model, latents: Tensor) -> Tensor:
        """The pixels of latents, (batch, 3, height, width) in −1..1."""
        ...

    def run(self, work: Callable[[], T]) -> T:
        """Work that takes a network for itself: encoding."""
        ...

    def sampling(self) -> AbstractContextManager[None]:
        """Around the evaluations of a batch and the decoding of its pictures."""
        ...

    def outside(self) -> AbstractContextManager[None]:
        """Around what is not the drawing's own and may take long, such as a callback."""
        ...

    def check(self, *, batch: bool = False) -> None:
        """Leaves the drawing by an exception, where it is not to go on; or the batch, within one."""
        ...

    def wait(self, ready: Event) -> None:
        """Waits; left as by ``check``."""
        ...


class Alone:
    """``Company`` of a drawing in the caller's own thread: it shares nothing, and the caller ends it by exceptions."""

    due: float | None = None
    shared = False

    def predict(self, rows: Rows) -> Tensor:
        """In its own pass."""
        return rows.predict()

    def decode(self, model: Model, latents: Tensor) -> Tensor:
        """By themselves."""
        return Decoding(model, latents).together([Decoding(model, latents)])[0]

    def run(self, work: Callable[[], T]) -> T:
        """At once."""
        return work()

    def sampling(self) -> AbstractContextManager[None]:
        """Nobody waits."""
        return nullcontext()

    def outside(self) -> AbstractContextManager[None]:
        """Nobody waits."""
        return nullcontext()

    def check(self, *, batch: bool = False) -> None:
        """Goes on."""

    def wait(self, ready: Event) -> None:
        """As long as it takes."""
        ready.wait()


class InJob:
    """``Company`` of a job.

    Args:
        course: its wishes.
        device: where all jobs meet.
        due: its turn.
    """

    def __init__(self, course: Course, device: Device, due: Due) -> None:
        self._course, self._device, self.due = course, device, due.at
        self.shared = not device.batch_invariant
        self._sampling = False

    def predict(self, rows: Rows) -> Tensor:
        """With those of other jobs in one pass; where gradients are recorded, which is a matter of threads, here."""
        self.check(batch=True)
        if torch.is_grad_enabled():
            return rows.predict()
        return self._answer(self._device.share(Evaluation(rows)), WISHES)

    def decode(self, model: Model, latents: Tensor) -> Tensor:
        """With those of other jobs that are finished at the same time."""
        self.check()
        return self._answer(self._device.share(Decoding(model, latents)), OF_THE_JOB)

    def run(self, work: Callable[[], T]) -> T:
        """Between passes."""
        self.check()
        return self._answer(self._device.run(work), OF_THE_JOB)

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Passes wait for it."""
        with self._device.sampling():
            self._sampling = True
            try:
                yield
            finally:
                self._sampling = False

    def outside(self) -> AbstractContextManager[None]:
        """Passes do not wait for it meanwhile."""
        return self._device.away() if self._sampling else nullcontext()

    def check(self, *, batch: bool = False) -> None:
        """Heeds the wishes of the job's handle."""
        self._course.check(WISHES if batch else OF_THE_JOB)

    def wait(self, ready: Event) -> None:
        """Until that or a wish."""
        with self._course.waking(ready.set, OF_THE_JOB):
            ready.wait()
        self.check()

    def _answer(self, future: Future[T], heeded: Collection[Wish]) -> T:
        """The result; where a wish comes first and the work was not begun, it is left undone."""
        with self._course.waking(future.cancel, heeded):
            try:
                return future.result()
            except CancelledError:
                self._course.check(heeded)
                raise
