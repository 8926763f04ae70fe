"""RES-2S."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import GuardedStages, exponential_step, exponential_weights


class RES2S(GuardedStages, Scheduler):
    """The single-step refined exponential solver (Zhang et al. 2023, arXiv:2308.02157, algorithm 1): order 2, two
    evaluations a step, one where it leaves α = 0 or reaches σ = 0.

    b₂ = φ₂/c₂ and b₁ = φ₁ − b₂ fulfil the order conditions of exponential Runge-Kutta methods for stiff equations too,
    which DPM-Solver++(2S)'s b₂ = φ₁/(2·c₂) does not.
    """

    c2: float = Field(default=0.5, gt=0.0, le=1.0, description="where in λ the second evaluation lies within the step")

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Takes a first-order step to λ_start + c₂·h, then the whole step with x̂₀ linear in λ."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        if interval.singular:
            return denoised.at(end), memory
        # on the end itself, not within rounding of it
        middle = end if self.c2 == 1.0 else interval.at(lam=start.lam + self.c2 * interval.h)
        between = yield middle.query(denoised.at(middle))
        b1, b2 = exponential_weights((start.lam, middle.lam), start.lam, end.lam)
        full = exponential_step(x, start, end, (b1, b2), (denoised.x0, between.x0))
        return self.drawn_back_to_stages(full, denoised, between, end), memory
