"""The course of a job: what the thread that draws it and those who follow it share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from threading import RLock, Timer
from typing import Literal
from uuid import uuid4

from latentry._contract._progress import ProgressEvent
from latentry._discovery import Leaving
from latentry._errors import DeadlinePassed, JobCancelled
from latentry._jobs._events import ENDS, Ended, JobEvent, JobState, Queued, Started, Stepped
from latentry._jobs._log import EventLog
from latentry._request._generation_request import GenerationRequest
from latentry._request._result import GenerationResult

Wish = Literal["drop", "keep", "skip", "pause"]
"""What is to become of a job that is being drawn."""
OF_THE_JOB: frozenset[Wish] = frozenset({"drop", "keep", "pause"})
"""Those that end it; ``skip`` ends a batch."""
WISHES: frozenset[Wish] = OF_THE_JOB | {"skip"}
"""All of them."""


class Interrupted(Leaving):
    """Leaves the drawing of a job.

    Args:
        wish: the reason.
    """

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish)
        self.wish = wish


class Paused(Leaving):
    """Leaves the drawing of a job with everything that is needed to continue it.

    Args:
        state: what ``Engine.resume`` takes.
    """

    def __init__(self, state: bytes) -> None:
        super().__init__()
        self.state = state


class Course:
    """State, events, wishes and outcome of one job.

    Attributes:
        id: a name that no other job has.
        request: what was asked for.
        log: its events.
        outcome: the result or the error.
        saved: the state of a paused job.
    """

    def __init__(self, request: GenerationRequest) -> None:
        self.id, self.request, self.log = uuid4().hex, request, EventLog()
        self.outcome: Future[GenerationResult] = Future()
        self.saved: Future[bytes] = Future()
        self._state: JobState = "queued"
        self._wish: Wish | None = None
        self._lock, self._wakers = RLock(), list[tuple[Callable[[], object], Collection[Wish]]]()
        self._timer: Timer | None = None
        self.log.append(Queued())

    @property
    def state(self) -> JobState:
        """Where the job is."""
        return self._state

    @property
    def ended(self) -> bool:
        """Whether the outcome is there."""
        return self._state in ENDS

    def expire_after(self, seconds: float) -> None:
        """Fails the job if it has not ended by then."""
        error = DeadlinePassed(
            f"The job was not finished within its {seconds:g} seconds.",
            remedy="Give it a later deadline, a higher priority, or fewer steps.",
        )
        self._timer = Timer(max(0.0, seconds), lambda: self.leave("failed", error))
        self._timer.daemon = True
        self._timer.start()

    def ask(self, wish: Wish) -> bool:
        """Wishes for something; False where the job has ended. ``drop`` is granted at once, others by the thread."""
        with self._lock:
            if self.ended:
                return False
            self._wish = wish
            self._wake()
        if wish == "drop":
            self.leave("cancelled", JobCancelled("The job was cancelled."))
        return True

    def leave(self, state: JobState, error: BaseException) -> None:
        """Ends the job for those who wait for it; the thread that draws it leaves at its next check."""
        with self._lock:
            self._wish = "drop"
            self._wake()
            self._end(state, error=error)

    def check(self, heeded: Collection[Wish] = OF_THE_JOB) -> None:
        """Called by the thread between any two pieces of its work.

        Raises:
            Interrupted: one of these wishes was made.
        """
        with self._lock:
            wish = self._wish
            if wish is None or wish not in heeded:
                return
            if wish == "skip":
                self._wish = None
        raise Interrupted(wish)

    @contextmanager
    def waking(self, wake: Callable[[], object], heeded: Collection[Wish]) -> Iterator[None]:
        """Has one of these wishes end the waiting of the thread."""
        waker = (wake, heeded)
        with self._lock:
            self._wakers.append(waker)
            self._wake()
        try:
            yield
        finally:
            with self._lock:
                self._wakers.remove(waker)

    def tell(self, event: JobEvent) -> None:
        """Logs an event; nothing after the end."""
        self.log.append(event)

    def step(self, event: ProgressEvent) -> None:
        """Logs a moment of the drawing."""
        self.tell(Stepped(replace(event, run=None, glimpse=None)))

    def draw(self, drawing: Callable[[], GenerationResult]) -> None:
        """Draws in this thread, and ends the job with what comes of it."""
        with self._lock:
            if self.ended:
                return
            self._state = "running"
        self.tell(Started())
        try:
            result = drawing()
        except Interrupted:
            self._end("cancelled", error=JobCancelled("The job was cancelled before a picture was finished."))
        except Paused as paused:
            self._end("paused", error=JobCancelled("The job is paused.", remedy="Resume it."), saved=paused.state)
        except BaseException as error:
            self._end("failed", error=error)
        else:
            self._end("done", result=result)

    def _end(
        self,
        state: JobState,
        *,
        result: GenerationResult | None = None,
        error: BaseException | None = None,
        saved: bytes | None = None,
    ) -> None:
        with self._lock:
            if self.ended:
                return
            self._state = state
            if self._timer is not None:
                self._timer.cancel()
        if saved is not None:
            self.saved.set_result(saved)
        else:
            self.saved.cancel()
        if result is not None:
            self.outcome.set_result(result)
        else:
            self.outcome.set_exception(error)
        self.tell(Ended(state, error))

    def _wake(self) -> None:
        for wake, heeded in self._wakers:
            if self._wish in heeded:
                wake()
