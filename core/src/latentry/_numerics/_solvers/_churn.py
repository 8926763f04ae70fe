"""EDM's churn: noise that a step adds before it removes more."""

from __future__ import annotations

import math

from pydantic import BaseModel, Field
from torch import Tensor

from latentry._numerics._interval import Interval
from latentry._numerics._linear import combine
from latentry._numerics._processes._point import Point
from latentry._numerics._running._noise import Noise


def raised_sample(x: Tensor, start: Point, raised: Point, z: Tensor, scale: float = 1.0) -> Tensor:
    """x of a noisier level: x̄ + √(s_raised² − s_start²)·z with x̄ = x/α, in the process's own x.

    Args:
        x: the sample at ``start``, where 0 < α.
        start: its level.
        raised: a level of the same process that is no less noisy, where 0 < α.
        z: standard normal noise.
        scale: S_noise; multiplies the noise.
    """
    added = raised.alpha * math.sqrt(raised.s**2 - start.s**2)
    return combine((raised.alpha / start.alpha, x), (scale * added, z))


class Churn(BaseModel):
    """The options of churn, and lines 4 to 6 of algorithm 2 (Karras et al. 2022, arXiv:2206.00364).

    Noise levels are given as s = σ/α on every process. A scheduler inherits from this class and from ``Scheduler``.
    """

    churn: float = Field(
        default=0.0, ge=0.0, description="S_churn: how much noise to add and remove again over the run"
    )
    churn_min: float = Field(default=0.0, ge=0.0, description="S_min: no churn below this σ/α")
    churn_max: float = Field(default=math.inf, ge=0.0, description="S_max: no churn above this σ/α")
    churn_noise: float = Field(default=1.0, gt=0.0, le=100.0, description="S_noise: scale of the added noise")

    def churned(self, x: Tensor, interval: Interval, noise: Noise) -> tuple[Tensor, Point]:
        """The sample and the level to begin the step from: x̂ and t̂; x itself where nothing is added."""
        start, raised = interval.start, self._raised(interval)
        if raised == start:
            return x, start
        return raised_sample(x, start, raised, noise(), self.churn_noise), raised

    def _raised(self, interval: Interval) -> Point:
        """t̂ = t + γ·t, never beyond the noisiest level of training; no churn on the way back to noise."""
        start, noisiest = interval.start, interval.process.noisiest
        gamma = min(self.churn / interval.count, math.sqrt(2.0) - 1.0)
        within = self.churn_min <= start.s <= self.churn_max
        if gamma == 0.0 or not within or start.lam <= noisiest.lam or interval.h < 0.0:
            return start
        return interval.at(lam=max(start.lam - math.log1p(gamma), noisiest.lam))
