"""DPM-Solver-2."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import Churn, GuardedStages
from latentry_dpm2._two_stages import two_stages


class DPM2(Churn, GuardedStages, Scheduler):
    """DPM-Solver-2 (Lu et al. 2022, arXiv:2206.00927, algorithm 1), with EDM's churn as in k-diffusion.

    Order 2, two evaluations a step, the second within it; one where the step leaves pure noise or reaches σ = 0.
    """

    r: float = Field(default=0.5, gt=0.0, lt=1.0, description="where in λ the second evaluation lies within the step")
    longest_step: float = Field(
        default=math.inf, gt=0.0, description="longest step in λ at full order; longer steps are first order"
    )

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Half a step in λ, then the whole step with the slope found there."""
        x, start = self.churned(x, interval, noise)
        here = yield start.query(x)
        return (yield from two_stages(self, x, here, interval.end, interval, self.r, self.longest_step)), memory
