"""A job as those see it who asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError

from latentry._errors import IncompatibleError
from latentry._jobs._course import Course
from latentry._jobs._events import JobEvent, JobState
from latentry._request._generation_request import GenerationRequest
from latentry._request._result import GenerationResult


class Job:
    """A request on its way to pictures; made by ``Engine.submit``. Its methods may be called from any thread.

    Whoever drops it loses nothing but the way to its result: the engine draws it all the same.
    """

    def __init__(self, course: Course) -> None:
        self._course = course

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.state}>"

    @property
    def id(self) -> str:
        """A name that no other job has."""
        return self._course.id

    @property
    def request(self) -> GenerationRequest:
        """What was asked for."""
        return self._course.request

    @property
    def state(self) -> JobState:
        """``queued``, ``running``, and one of ``paused``, ``done``, ``failed`` and ``cancelled`` at the end."""
        return self._course.state

    def result(self, timeout: float | None = None) -> GenerationResult:
        """The pictures; waits for them.

        Args:
            timeout: in seconds; None waits as long as it takes.

        Raises:
            TimeoutError: they are not there yet.
            JobCancelled: the job was cancelled or paused.
            DeadlinePassed: the job was not finished by its deadline.
            LatentryError: see ``Engine.generate``. What ``progress`` raised comes as it is.
        """
        return self._course.outcome.result(timeout)

    async def aresult(self) -> GenerationResult:
        """``result`` in an event loop. Giving up waiting does not cancel the job."""
        return await asyncio.shield(asyncio.wrap_future(self._course.outcome))

    def cancel(self, *, keep: bool = False) -> bool:
        """Ends the job: its result is an error at once, and it is left after the evaluation that is under way.

        Args:
            keep: end it with the pictures that are finished; with an error where there are none.

        Returns:
            False where the job had ended already.
        """
        return self._course.ask("keep" if keep else "drop")

    def skip(self) -> bool:
        """Leaves out the batch of pictures that is being drawn, and goes on with the next; False after the end."""
        return self._course.ask("skip")

    def pause(self, timeout: float | None = None) -> bytes:
        """Ends the job with its state, from which ``Engine.resume`` continues it to the same bits.

        The other engine may be in another process, and needs the same plugins and model files.

        Args:
            timeout: in seconds, for the evaluation that is under way; None waits as long as it takes.

        Raises:
            TimeoutError: it is not left yet; ask again, or wait for the last event.
            IncompatibleError: the job has ended, or cannot be saved.
        """
        self._course.ask("pause")
        try:
            return self._course.saved.result(timeout)
        except CancelledError:
            error = self._course.outcome.exception(0)
            if isinstance(error, IncompatibleError):
                raise error from None
            raise IncompatibleError(
                f"The job cannot be paused: it is {self.state}.", remedy="Pause a job that is queued or running."
            ) from None

    def events(self) -> Iterator[JobEvent]:
        """The job's events from the first to ``Ended``; waits for each.

        Several readers each get all of them. Of the previews of a picture a late reader gets the newest.
        """
        return iter(self._course.log)

    def aevents(self) -> AsyncIterator[JobEvent]:
        """``events`` in an event loop."""
        return aiter(self._course.log)
