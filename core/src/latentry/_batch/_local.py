"""The executor of this process: one engine, and several lines in it at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from latentry._batch._work import BatchSettings, DrawnLine, Line, failed_line, finished_line, request_of
from latentry._errors import LatentryError, OptionError
from latentry._generate._engine import Engine
from latentry._jobs._job import Job

TOGETHER = 8
"""Lines that are drawn at a time, whose evaluations can share passes."""


class LocalExecutor:
    """Draws in this process."""

    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        """See ``Executor``.

        Raises:
            OptionError: several engines are asked for.
        """
        _check_workers(settings)
        engine, waiting = settings.engine(), deque[tuple[Line, Job | LatentryError]]()
        try:
            for line in lines:
                try:
                    waiting.append((line, engine.submit(request_of(line))))
                except LatentryError as error:
                    waiting.append((line, error))
                if len(waiting) == TOGETHER:
                    yield _outcome(*waiting.popleft(), settings.suffix)
            while waiting:
                yield _outcome(*waiting.popleft(), settings.suffix)
        finally:
            for _, job in waiting:
                if isinstance(job, Job):
                    job.cancel()

    @contextmanager
    def served(self, settings: BatchSettings) -> Iterator[Engine]:
        """See ``ServingExecutor``.

        Raises:
            OptionError: several engines are asked for.
        """
        _check_workers(settings)
        yield settings.engine()


def _check_workers(settings: BatchSettings) -> None:
    if settings.workers not in (None, 1):
        raise OptionError(
            f"{settings.workers} workers were requested, but the executor 'local' has one.",
            remedy="Leave their number out, or name another executor.",
        )


def _outcome(line: Line, job: Job | LatentryError, suffix: str) -> DrawnLine:
    if isinstance(job, LatentryError):
        return failed_line(line, job)
    try:
        return finished_line(line, job.result(), suffix)
    except LatentryError as error:
        return failed_line(line, error)
