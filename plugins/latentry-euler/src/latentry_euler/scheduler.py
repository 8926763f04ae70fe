"""Euler's method with churn."""

from __future__ import annotations

from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import Churn


class Euler(Churn, Scheduler):
    """Euler's method on dx̄/ds = ε̂ with x̄ = x/α and s = σ/α (Karras et al. 2022, arXiv:2206.00364, algorithm 2,
    lines 4 to 8).

    Order 1, one evaluation a step. On a rectified flow the step is Euler's in t.
    """

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Raises the noise level where churn asks for it, then takes one Euler step down."""
        x, raised = self.churned(x, interval, noise)
        denoised = yield raised.query(x)
        return denoised.at(interval.end), memory
