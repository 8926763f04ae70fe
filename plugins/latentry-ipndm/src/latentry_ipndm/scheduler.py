"""Improved pseudo numerical methods."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step, remember
from latentry.solvers import Guarded, polynomial_weights, slope_step


class IPNDM(Guarded, Scheduler):
    """iPNDM (Zhang and Chen 2022, arXiv:2204.13902, section 3.2): DDIM's step with Adams-Bashforth's fixed weights on
    ε̂, lower orders first.

    One evaluation a step. The weights are those of even steps in s = σ/α, on any grid: order 2 where ``order`` is 2 or
    more, with a smaller error the higher it is.
    """

    Memory: ClassVar[type] = History

    order: int = Field(default=4, ge=1, le=4, description="evaluations that a step looks back on")
    arrival: Literal["x0", "full"] = Field(
        default="x0", description="the step into σ = 0: first order, which lands on x₀, or full order as in diffusers"
    )
    stable: bool = Field(
        default=True, description="lower the order to 3 or 2 where a step is too long for it to be stable"
    )

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """DDIM's step from x, with the extrapolated ε̂ in place of the newest."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "eps", self.order)
        order = interval.order(self.order, nodes, lower_final=False, into_clean=self.arrival == "full")
        if order == 1:
            return denoised.at(end), History(nodes)
        order = interval.stable_order(order) if self.stable else order
        h = end.s - start.s
        weights = [h * w for w in polynomial_weights([-float(j) for j in range(order)], 0.0, 1.0)]
        full = slope_step(x, start, end, weights, [node.value for node in nodes])
        return self.drawn_back(full, denoised, end), History(nodes)
