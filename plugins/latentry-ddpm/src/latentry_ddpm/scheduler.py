"""Denoising diffusion probabilistic models."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import ancestral, combine


class DDPM(Scheduler):
    """Denoising diffusion probabilistic models (Ho et al. 2020, arXiv:2006.11239, algorithm 2), any stride of steps.

    Weak order 1, one evaluation a step. The mean is that of the posterior q(x_end | x_start, x̂₀), eq. 7; the variance
    one of the two extremes of section 3.2, which bound the true one. In s = σ/α both hold on every process.
    """

    variance: Literal["small", "large"] = Field(
        default="small", description="small is exact for data that is one point (β̃), large for x₀ ~ N(0, 1) (β)"
    )

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """The mean of the posterior (the ancestral step's lower level) plus its noise; no noise into σ = 0."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        mean, deviation = ancestral(start, end, 1.0)
        if deviation == 0.0:
            return denoised.at(mean), memory
        if self.variance == "large":
            deviation *= self._excess(interval)
        z = noise(math.exp(2.0 * start.lam), math.exp(2.0 * end.lam))
        return combine((1.0, denoised.at(mean)), (deviation, z)), memory

    def _excess(self, interval: Interval) -> float:
        """√(β/β̃): with unit data x̄ has the variance 1 + s², so the posterior's is (1 + s_end²)/(1 + s_start²)·β."""
        start, end = interval.start, interval.end
        return math.hypot(1.0, 1.0 / end.s) * start.sigma / math.hypot(start.alpha, start.sigma)
