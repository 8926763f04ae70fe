"""Euler's method with churn."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Point, Scheduler, Step, combine


class Euler(Scheduler):
    """Euler's method on dx̄/ds = ε̂ with x̄ = x/α and s = σ/α (Karras et al. 2022, arXiv:2206.00364, algorithm 2,
    lines 4 to 8).

    Order 1, one evaluation a step. Noise levels are given as s = σ/α on every process. On a rectified flow the step
    is Euler's in t.
    """

    churn: float = Field(0.0, ge=0.0, description="S_churn: how much noise to add and remove again over the run")
    churn_min: float = Field(0.0, ge=0.0, description="S_min: no churn below this σ/α")
    churn_max: float = Field(math.inf, ge=0.0, description="S_max: no churn above this σ/α")
    churn_noise: float = Field(1.0, gt=0.0, description="S_noise: scale of the added noise")

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Raises the noise level where churn asks for it, then one Euler step down."""
        raised = self._raised(interval)
        if raised != interval.start:
            x = self._add_noise(x, interval.start, raised, noise())
        denoised = yield raised.query(x)
        return denoised.at(interval.end), memory

    def _raised(self, interval: Interval) -> Point:
        """t̂ = t + γ·t of line 5, never beyond the noisiest level of training."""
        start, noisiest = interval.start, interval.process.noisiest
        gamma = min(self.churn / interval.count, math.sqrt(2.0) - 1.0)
        within = self.churn_min <= start.s <= self.churn_max
        if gamma == 0.0 or not within or start.lam <= noisiest.lam:
            return start
        return interval.at(lam=max(start.lam - math.log1p(gamma), noisiest.lam))

    def _add_noise(self, x: Tensor, start: Point, raised: Point, fresh: Tensor) -> Tensor:
        """x̂ = x̄ + √(ŝ² − s²)·S_noise·ε of line 6, in the process's own x."""
        added = raised.alpha * math.sqrt(raised.s**2 - start.s**2)
        return combine((raised.alpha / start.alpha, x), (self.churn_noise * added, fresh))
