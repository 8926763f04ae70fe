"""Ancestral sampling with Euler's method."""

from __future__ import annotations

from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import Ancestral


class EulerAncestral(Ancestral, Scheduler):
    """Ancestral sampling (Song et al. 2020, arXiv:2011.13456, appendix F; k-diffusion's η).

    Weak order 1, one evaluation a step. One Euler step on dx̄/ds = ε̂ with x̄ = x/α and s = σ/α to a level below the
    end's, then fresh noise up to it.
    """

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Down to s_down, and up by σ_up."""
        denoised = yield interval.start.query(x)
        below, fresh = self.lowered(interval)
        return self.renoised(denoised.at(below), fresh, interval, noise), memory
