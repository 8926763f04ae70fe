"""Steps of several evaluations that are exact on data of N(0, 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from latentry._numerics._processes._point import Point

Numbers = npt.NDArray[np.float64]
Weights = tuple[float, ...]

SHORT = 1e-3
"""Up to this length in λ a step is as a quadrature has it: what it lacks on Gaussian data drowns in rounding."""
LONGEST = 2.0
"""How far down in λ the deterministic part of an ancestral step goes to make room for fresh noise: further down two
evaluations are exact on N(0, 1) still, and no longer near on other data. A step that is longer by itself has none.
"""


class Fitted(BaseModel):
    """The option of schedulers with evaluations within a step. One inherits from this class and from ``Scheduler``."""

    fitted: bool = Field(
        default=True,
        description="weight the last evaluation so that a step is exact on data of N(0, 1), which keeps the variance "
        "in few steps; pictures made before there was this option are made again without it",
    )

    @property
    def longest_down(self) -> float:
        """How far in λ the deterministic part of a step may go where fresh noise follows it."""
        return LONGEST if self.fitted else math.inf


class NormalData:
    """Data of N(0, 1), taken through a step beside the sample: what each stage makes of it, exactly.

    Every quantity is a sum of independent standard normal numbers, and is kept as their coefficients: first that of the
    sample at the step's start, then one for each draw.

    A step of first order loses variance, the more the longer it is. One of several evaluations adds
    w·(x̂₀ of the newest − x̂₀ at the start), and any w that a quadrature in λ has is a guess at how x̂₀ goes on. For
    Gaussian data that is known. With the w that keeps this variance the step is of the same order, as it differs from
    the quadrature's by less than that is off; and long steps keep the variance of other data, too, since a variance
    of d only moves where in s = σ/α they lie, by √d. It is exponential fitting (Gautschi 1961, Numer. Math. 3).

    Args:
        start: where the step begins; 0 < σ.
        paths: what is drawn up to the end of each stage, with variance 1: the coefficients. None where nothing is.
    """

    def __init__(self, start: Point, paths: Sequence[Sequence[float]] = ()) -> None:
        self._start, self._paths = start, iter(paths)
        self._x = np.zeros(1 + (len(paths[-1]) if paths else 0))
        self._x[0] = math.sqrt(_variance(start))
        self._here = self._newest = _denoised(self._x, start)

    def next_weights(self, own: Weights, below: Point, level: Point, deviation: float = 0.0) -> Weights:
        """Weights of the next stage, which the data then has gone through.

        Args:
            own: those of a quadrature, for short steps and where no others are right: of x̂₀ at the start, and of the
                newest x̂₀ if there is another.
            below: where the deterministic part of the stage ends.
            level: where the stage ends, and the next evaluation lies; 0 < σ.
            deviation: σ of what is drawn on the way up from ``below``.
        """
        kept = below.sigma / self._start.sigma
        first = kept * self._x + (below.alpha - kept * self._start.alpha) * self._here
        if self._x.size > 1:
            first[1:] += deviation * np.asarray(next(self._paths))
        slope, w = level.alpha * (self._newest - self._here), sum(own[1:])
        if len(own) > 1 and abs(below.lam - self._start.lam) > SHORT:
            w = _root(float(slope @ slope), float(slope @ first), float(first @ first) - _variance(level), w)
        self._newest = _denoised(first + w * slope, level)
        return (sum(own) - w, w) if len(own) > 1 else own


def fitted_weights(start: Point, middle: Point, end: Point, own: Weights) -> Weights:
    """Weights of x̂₀ at the start and of x̂₀ at ``middle``, where the first-order step has led, for a step without noise.

    Args:
        start: where it begins; 0 < σ.
        middle: the level of the second evaluation.
        end: where it ends; 0 < σ.
        own: those of a quadrature, as for ``NormalData.next_weights``.
    """
    data = NormalData(start)
    data.next_weights((1.0,), middle, middle)
    return data.next_weights(own, end, end)


def _variance(point: Point) -> float:
    return point.alpha**2 + point.sigma**2


def _denoised(x: Numbers, point: Point) -> Numbers:
    return point.alpha / _variance(point) * x


def _root(a: float, b: float, c: float, otherwise: float) -> float:
    """The w closest to 0 with a·w² + 2·b·w + c = 0."""
    square = b * b - a * c
    if square < 0.0 or b == 0.0:
        return otherwise
    return -c / (b + math.copysign(math.sqrt(square), b))
