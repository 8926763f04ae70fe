"""Heun's method with churn."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import Churn, GuardedStages, heun_step


class Heun(Churn, GuardedStages, Scheduler):
    """Heun's second-order method (Karras et al. 2022, arXiv:2206.00364, algorithm 2).

    Order 2, two evaluations a step; Euler's method, one evaluation, into σ = 0 and, on s, out of pure noise.
    """

    clock: Literal["t", "s"] = Field(
        default="t", description="what the slopes are averaged over: t = σ/(α + σ), a rectified flow's time, or s = σ/α"
    )
    longest_step: float = Field(
        default=math.inf, gt=0.0, description="longest step in λ at full order; longer steps are first order"
    )

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Adds noise, then removes more of it by Heun's step."""
        x, start = self.churned(x, interval, noise)
        end = yield from heun_step(self, x, start, interval.end, self.clock, self.longest_step)
        return end, memory
