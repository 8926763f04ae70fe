"""DPM-Solver++(2S) with ancestral noise."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import Ancestral, Fitted, GuardedStages, exponential_step, fitted_weights, midpoint_weights


class DPMpp2SAncestral(Ancestral, Fitted, GuardedStages, Scheduler):
    """DPM-Solver++(2S) (Lu et al. 2022, arXiv:2211.01095, algorithm 1) to a level below the end's, then fresh noise up
    to it (Crowson's k-diffusion): two evaluations a step, one where it leaves α = 0 or reaches σ = 0.

    Weak order 2: down by the exact path and up by noise would keep every marginal, so the error is that of the
    deterministic part, which is of order 2.
    """

    r: float = Field(
        default=0.5, gt=0.0, lt=1.0, description="where in λ the second evaluation lies within the way down"
    )

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Takes a first-order step part of the way in λ, then the whole way with x̂₀ linear in λ; then adds noise."""
        start = interval.start
        denoised = yield start.query(x)
        below, deviation = self.lowered(interval, self.longest_down)
        if interval.singular or math.isinf(below.lam):
            end = denoised.at(below)
        else:
            middle = interval.at(lam=start.lam + self.r * (below.lam - start.lam))
            between = yield middle.query(denoised.at(middle))
            own = midpoint_weights(middle.lam, start.lam, below.lam)
            weights = fitted_weights(start, middle, below, own) if self.fitted else own
            full = exponential_step(x, start, below, weights, [denoised.x0, between.x0])
            end = self.drawn_back_to_stages(full, denoised, between, below, fitted=self.fitted)
        return self.renoised(end, deviation, interval, noise), memory
