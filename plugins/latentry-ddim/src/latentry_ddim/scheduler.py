"""Denoising diffusion implicit models."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step


class DDIM(Scheduler):
    """Denoising diffusion implicit models (Song et al. 2020, arXiv:2010.02502, eqs. 12 and 16).

    Order 1, one evaluation a step. On a reversed plan it inverts (section 4.3).
    """

    eta: float = Field(0.0, ge=0.0, le=1.0, description="stochasticity: 0 is deterministic DDIM, 1 is DDPM")

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """x̂₀ and ε̂ of the start, put together again at the end's level, a part of ε̂ replaced by fresh noise."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        fresh = self._fresh(interval)
        if fresh == 0.0:
            return denoised.at(end), memory
        kept = end._replace(sigma=math.sqrt(end.sigma**2 - fresh**2))
        return denoised.at(kept).add_(noise(), alpha=fresh), memory

    def _fresh(self, interval: Interval) -> float:
        """σ of the new noise, eq. 16: η·σ_end·√(1 − (s_end/s_start)²) with s = σ/α; none when going backwards."""
        start, end = interval.start, interval.end
        if self.eta == 0.0 or end.s >= start.s:
            return 0.0
        return self.eta * end.sigma * math.sqrt(1.0 - (end.s / start.s) ** 2)
