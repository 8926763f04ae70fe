"""Linear multistep sampling."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step, remember
from latentry.solvers import Guarded, polynomial_weights, slope_step


class LMS(Guarded, Scheduler):
    """The Adams-Bashforth method with variable steps (Hairer, Nørsett and Wanner 1993, III.5) on dx̄/ds = ε̂, with
    x̄ = x/α and s = σ/α: LMS of k-diffusion, ρAB-DEIS (Zhang and Chen 2022, arXiv:2204.13902).

    Order ``order`` on any grid, one evaluation a step.
    """

    Memory: ClassVar[type] = History

    order: int = Field(default=4, ge=1, le=4, description="evaluations that a step looks back on")
    arrival: Literal["x0", "full"] = Field(
        default="x0", description="the step into σ = 0: first order, which lands on x₀, or full order as in k-diffusion"
    )

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """x̄ plus the integral of the polynomial in s through the newest ε̂."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "eps", self.order)
        order = interval.order(self.order, nodes, lower_final=False, into_clean=self.arrival == "full")
        if order == 1:
            return denoised.at(end), History(nodes)
        weights = polynomial_weights([node.point.s for node in nodes[:order]], start.s, end.s)
        full = slope_step(x, start, end, weights, [node.value for node in nodes])
        return self.drawn_back(full, denoised, end), History(nodes)
