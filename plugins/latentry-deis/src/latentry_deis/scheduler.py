"""Diffusion exponential integrator sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Point, Scheduler, Step, remember
from latentry.solvers import GuardedOrders, exponential_step, exponential_weights, polynomial_weights
from latentry_deis._time import time_weights

Variable = Literal["log-rho", "rho", "t"]


class DEIS(GuardedOrders, Scheduler):
    """Diffusion exponential integrator sampler (Zhang and Chen 2022, arXiv:2204.13902, eq. 14), the Adams-Bashforth
    kind: ε̂ is extrapolated by the polynomial through the last evaluations, and that is integrated exactly.

    Order ``order``, one evaluation a step. With ρ = σ/α the step is x_end/α_end = x/α + ∫ ε̂ dρ.
    """

    Memory = History

    order: int = Field(default=3, ge=1, le=4, description="how many evaluations the polynomial goes through")
    variable: Variable = Field(
        default="log-rho",
        description="what the polynomial is in: log(σ/α), σ/α (ρAB) or the network's own timestep (tAB)",
    )
    lower_order_final: bool = Field(default=True, description="order 2 in the last step but one, 1 in the last")

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """One evaluation, then the weighted sum of the last ones."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "eps", self.order)
        bounded = self.variable != "rho"  # ρ is infinite at pure noise
        order = interval.order(self.order, nodes, lower_final=self.lower_order_final, from_noise=bounded)
        if order == 1:
            return denoised.at(end), History(nodes)

        def full(order: int) -> Tensor:
            weights = self._weights([node.point for node in nodes[:order]], interval)
            return exponential_step(x, start, end, weights, [node.value for node in nodes], "eps")

        if order > 2:
            return self.drawn_back_by_orders(full(order), lambda: full(2), denoised, end), History(nodes)
        return self.drawn_back(full(order), denoised, end), History(nodes)

    def _weights(self, nodes: Sequence[Point], interval: Interval) -> tuple[float, ...]:
        """∫ L_j dρ over the step, divided by ρ at its end."""
        start, end = interval.start, interval.end
        if self.variable == "log-rho":
            return exponential_weights([node.lam for node in nodes], start.lam, end.lam, -1.0)
        if self.variable == "rho":
            weights = polynomial_weights([node.s for node in nodes], start.s, end.s)
        else:
            weights = time_weights(nodes, interval)
        return tuple(w / end.s for w in weights)
