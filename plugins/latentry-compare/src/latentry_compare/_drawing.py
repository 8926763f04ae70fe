"""Lines drawn together, and the time that each takes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from latentry import Engine, GenerationResult, LatentryError
from latentry.batches import Line, request_of

Told = Callable[[int, int, str], None]
"""Called with the pictures that are there, with all of them, and with what is being drawn."""


@dataclass(frozen=True)
class Outcome:
    """What became of a line.

    Attributes:
        line: the request.
        result: its picture, or why there is none.
        seconds: its share of the wall time of those that were drawn together.
    """

    line: Line
    result: GenerationResult | LatentryError
    seconds: float


class Drawing:
    """Draws lines, as many at a time as the request's ``batch``: their evaluations share passes.

    Args:
        engine: draws.
        total: how many lines there are in all.
        told: called before each group.
    """

    def __init__(self, engine: Engine, total: int, told: Told) -> None:
        self._engine, self._total, self._told, self._done = engine, total, told, 0

    def __call__(self, lines: Sequence[Line], lacking: Sequence[Line], words: str) -> Iterator[list[Outcome]]:
        """Draws some lines of a group, and gives back those that were drawn together. The others are there.

        Args:
            lines: the group.
            lacking: those of them that are to be drawn.
            words: what the group is.
        """
        self._done += len(lines) - len(lacking)
        size = request_of(lines[0]).batch
        for first in range(0, len(lacking), size):
            self._told(self._done, self._total, words)
            yield self.together(lacking[first : first + size])
            self._done += len(lacking[first : first + size])

    def together(self, lines: Sequence[Line]) -> list[Outcome]:
        """Draws lines at the same time."""
        begun = perf_counter()
        jobs = [self._engine.submit(request_of(line)) for line in lines]
        found: list[GenerationResult | LatentryError] = []
        try:
            for job in jobs:
                try:
                    found.append(job.result())
                except LatentryError as error:
                    found.append(error)
        finally:
            for job in jobs:
                job.cancel()  # nothing happens to those that have ended
        seconds = (perf_counter() - begun) / len(lines)
        return [Outcome(line, each, seconds) for line, each in zip(lines, found, strict=True)]
