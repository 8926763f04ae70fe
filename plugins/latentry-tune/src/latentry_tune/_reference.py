"""Where a fine grid takes the rows, and the path between its boundaries."""

from __future__ import annotations

import math
from bisect import bisect_right

from torch import Tensor

from latentry import Point, Process
from latentry.solvers import combine, exponential_weights
from latentry_tune._following import Path

HIGHEST = 40.0
"""σ/α of the level after pure noise."""
LOWEST = 0.4
"""N·(σ/α) of the last level, on a process that was trained down to σ = 0."""
NODES = 4
"""Answers that the path between two boundaries is made of."""


def reference_points(process: Process, steps: int, shift: float | None) -> tuple[Point, ...]:
    """Even in λ, then to σ = 0; on a process that begins at pure noise, the first step comes from there.

    Args:
        process: the checkpoint's.
        steps: how many.
        shift: its time shift, by which the range is moved.
    """
    top, factor = process.noisiest.s, shift or 1.0
    low = process.cleanest.s or LOWEST / steps * factor
    high, count = (HIGHEST * factor, steps - 1) if math.isinf(top) else (top, steps)
    levels = [process.at(s=high * (low / high) ** (i / (count - 1))) for i in range(count)]
    begun = (process.noisiest,) if math.isinf(top) else ()
    return (*begun, *levels, process.clean())


class Reference:
    """The reference path of some rows.

    Args:
        points: its boundaries.
        path: what was found at them.
    """

    def __init__(self, points: tuple[Point, ...], path: Path) -> None:
        self._points, self._path = points, path

    @property
    def end(self) -> Tensor:
        """Where the rows end."""
        return self._path.end

    def some(self, part: slice) -> Reference:
        """Of some of its rows."""
        return Reference(self._points, self._path.some(part))

    def at(self, point: Point) -> Tensor:
        """The rows at any level: x₀ between the boundaries is a polynomial in λ through the nearest answers."""
        if point.sigma == 0.0:
            return self.end
        lams = [each.lam for each in self._points[:-1]]
        before = max(bisect_right(lams, point.lam) - 1, 0)
        begin, sample = self._points[before], self._path.samples[before]
        if begin.lam == point.lam:
            return sample
        first = min(max(before - 1, 0), len(lams) - NODES)
        weights = exponential_weights(lams[first : first + NODES], begin.lam, point.lam)
        answers = self._path.answers[first : first + NODES]
        terms = ((point.alpha * weight, answer) for weight, answer in zip(weights, answers, strict=True))
        return combine((point.sigma / begin.sigma, sample), *terms)
