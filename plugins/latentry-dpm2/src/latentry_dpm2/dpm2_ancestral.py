"""DPM-Solver-2 with ancestral noise."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import Ancestral, Fitted, GuardedStages
from latentry_dpm2._two_stages import two_stages


class DPM2Ancestral(Ancestral, Fitted, GuardedStages, Scheduler):
    """DPM-Solver-2 (Lu et al. 2022, arXiv:2206.00927, algorithm 1) to a level below the end's, then fresh noise up to
    it, as in k-diffusion.

    Two evaluations a step, the second within it; one where the step leaves pure noise or reaches σ = 0.
    """

    r: float = Field(default=0.5, gt=0.0, lt=1.0, description="where in λ the second evaluation lies within the step")
    longest_step: float = Field(
        default=math.inf, gt=0.0, description="longest step in λ at full order; longer steps are first order"
    )

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Down to s_down in two stages, and up by σ_up."""
        here = yield interval.start.query(x)
        below, fresh = self.lowered(interval, self.longest_down)
        x = yield from two_stages(self, x, here, below, interval, self.r, self.longest_step, fitted=self.fitted)
        return self.renoised(x, fresh, interval, noise), memory
