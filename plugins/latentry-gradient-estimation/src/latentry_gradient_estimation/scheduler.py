"""Gradient estimation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step, remember
from latentry.solvers import Guarded, slope_step, time_of, velocity_step


class GradientEstimation(Guarded, Scheduler):
    """DDIM with a better estimate of the slope (Permenter and Yuan 2023, arXiv:2306.04848, section 5).

    The noise that a network predicts is taken as a noisy gradient of the distance to the data. From two evaluations
    ε̄ = γ·ε̂ + (1 − γ)·ε̂_before is a better one, and x̄_end = x̄_start + (s_end − s_start)·ε̄ with x̄ = x/α, s = σ/α.

    One evaluation a step. Order 1; with γ = 3/2 it is Adams-Bashforth's second-order method where steps are even in s.
    """

    Memory = History

    gamma: float = Field(default=2.0, ge=1.0, le=4.0, description="γ: weight of the newest slope; 1 is DDIM")
    clock: Literal["s", "t"] = Field(
        default="s",
        description="slopes in s = σ/α as in the paper, or in t = σ/(α + σ), a rectified flow's time",
    )

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """A step along the combined slope; a first-order step where there is only one, and to σ = 0."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "eps" if self.clock == "s" else "v", 2)
        # in t the slope at pure noise needs no special case
        if interval.order(2, nodes, lower_final=False, from_noise=self.clock == "t") == 1:
            return denoised.at(end), History(nodes)
        length = end.s - start.s if self.clock == "s" else time_of(end) - time_of(start)
        weights = self.gamma * length, (1.0 - self.gamma) * length
        along = slope_step if self.clock == "s" else velocity_step
        full = along(x, start, end, weights, [node.value for node in nodes])
        return self.drawn_back(full, denoised, end), History(nodes)
