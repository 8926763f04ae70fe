"""Trajectory consistency distillation."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import combine


class TCD(Scheduler):
    """Strategic stochastic sampling (Zheng et al. 2024, arXiv:2402.19159, algorithm 4).

    One evaluation a step, for distilled models: each step goes to the timestep (1 − γ)·t_end, cleaner than its end,
    and is noised up from there. Without noise (γ = 0) it is DDIM; with γ > 0 it does not converge as steps are added.
    """

    gamma: float = Field(
        default=0.3, ge=0.0, le=1.0, description="γ: 0 is deterministic, 1 adds fresh noise to x̂₀ in every step"
    )

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Denoises to s = (1 − γ)·t_end, and diffuses from s to the end."""
        end = interval.end
        denoised = yield interval.start.query(x)
        if self.gamma == 0.0 or end.sigma == 0.0 or end.s >= interval.start.s:
            return denoised.at(end), memory
        cleaner = interval.at(timestep=(1.0 - self.gamma) * end.timestep)
        kept = end.alpha * min(cleaner.s, end.s)  # below the table no timestep is cleaner
        fresh = (end.sigma**2 - kept**2) ** 0.5
        return combine((1.0, denoised.at(end._replace(sigma=kept))), (fresh, noise())), memory
