"""Latent consistency models."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import Denoised, Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import combine


class LCM(Scheduler):
    """Multistep consistency sampling of latent consistency models (Luo et al. 2023, arXiv:2310.04378, algorithm 3).

    One evaluation a step, for distilled models: each step jumps to x₀ and adds fresh noise for its end. It does not
    converge as steps are added.
    """

    timestep_scaling: float = Field(
        default=0.0,
        ge=0.0,
        le=1000.0,
        description="factor of the timestep in c_skip and c_out, 10 in the paper; 0 takes x̂₀ as it is",
    )
    sigma_data: float = Field(default=0.5, gt=0.0, le=100.0, description="σ_data in c_skip and c_out")

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """z ← f(x, t); x_end ~ N(α·z, σ²)."""
        end = interval.end
        denoised = yield interval.start.query(x)
        z = self._consistency(x, denoised, interval)
        if end.sigma == 0.0:
            return combine((end.alpha, z)), memory
        return end.mix(z, noise()), memory

    def _consistency(self, x: Tensor, denoised: Denoised, interval: Interval) -> Tensor:
        """f(x, t) = c_skip·x + c_out·x̂₀ (eq. 9), which is x at timestep 0; x̂₀ where timesteps are not discrete."""
        if self.timestep_scaling == 0.0 or interval.process.timesteps is None:
            return denoised.x0
        t, variance = self.timestep_scaling * interval.start.timestep, self.sigma_data**2
        power = t * t + variance
        return combine((variance / power, x), (t / power**0.5, denoised.x0))
