"""Denoising diffusion implicit models."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import ancestral, combine


class DDIM(Scheduler):
    """Denoising diffusion implicit models (Song et al. 2020, arXiv:2010.02502, eqs. 12 and 16).

    Order 1, one evaluation a step. A reversed plan inverts: from a picture to its noise (section 4.3).
    """

    eta: float = Field(default=0.0, ge=0.0, le=1.0, description="stochasticity: 0 is deterministic DDIM, 1 is DDPM")

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Combines x̂₀ and ε̂ of the start at the end's level, with a part of ε̂ replaced by fresh noise."""
        denoised = yield interval.start.query(x)
        below, fresh = ancestral(interval.start, interval.end, self.eta)
        if fresh == 0.0:
            return denoised.at(interval.end), memory
        return combine((1.0, denoised.at(below)), (fresh, noise())), memory
