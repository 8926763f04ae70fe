"""STORK: stabilised Taylor orthogonal Runge-Kutta."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step, remember
from latentry.solvers import Guarded, polynomial_weights, time_of, velocity_step
from latentry_stork._gegenbauer import gegenbauer_moments


class STORK(Guarded, Scheduler):
    """STORK-2 and STORK-4 (Tan et al. 2025, arXiv:2505.24210) for the velocity in a rectified flow's time.

    A stabilised Runge-Kutta method takes many stages within a step. Only the evaluation at its start is real; the
    others are the Taylor polynomial of the velocity there, whose derivatives are divided differences of past ones.

    Those virtual evaluations depend on time alone, so the stages add up to weights of the real ones, which are computed
    once a step: a linear multistep method, one evaluation a step. STORK-2's stages are those of the second-order
    Runge-Kutta-Gegenbauer method. STORK-4's, ROCK4, are of fourth order, so they integrate the polynomial exactly, and
    that is the method of Adams and Bashforth, of order ``derivatives`` + 1.

    On variance-preserving and EDM models it is the same method for x/(α + σ) and t = σ/(α + σ).
    """

    Memory = History

    solver: Literal["stork-2", "stork-4"] = Field(
        default="stork-2", description="which method's stages: Runge-Kutta-Gegenbauer of order 2, or ROCK4"
    )
    derivatives: int = Field(default=2, ge=1, le=3, description="degree of the Taylor polynomial of the velocity")
    stages: int = Field(default=50, ge=3, le=1000, description="stages a step of stork-2, none of them an evaluation")

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """The velocity as a polynomial in t through the last evaluations, weighted by the stages."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "v", self.derivatives + 1)
        order = interval.order(self.derivatives + 1, nodes, lower_final=False, from_noise=True)
        if order == 1:
            return denoised.at(end), History(nodes)
        moments = gegenbauer_moments(self.stages, order) if self.solver == "stork-2" else None
        times = [time_of(node.point) for node in nodes[:order]]
        weights = polynomial_weights(times, time_of(start), time_of(end), moments)
        full = velocity_step(x, start, end, weights, [node.value for node in nodes])
        return self.drawn_back(full, denoised, end), History(nodes)
