"""Heun's method with churn."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import Tensor

from latentry import Denoised, Interval, Noise, NoMemory, Point, Scheduler, Step
from latentry.solvers import Churn, slope_step, time_of, velocity_step


class Heun(Churn, Scheduler):
    """Heun's second-order method (Karras et al. 2022, arXiv:2206.00364, algorithm 2).

    Order 2, two evaluations a step; Euler's method, one evaluation, into σ = 0 and, on s, out of pure noise.
    """

    clock: Literal["t", "s"] = Field(
        default="t", description="what the slopes are averaged over: t = σ/(α + σ), a rectified flow's time, or s = σ/α"
    )
    longest_step: float = Field(
        default=2.4, gt=0.0, description="longest step in λ of full order; longer ones are of first order"
    )

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """An Euler step, the slope at its end, and the step again with the mean of both slopes."""
        end = interval.end
        x, start = self.churned(x, interval, noise)
        here = yield start.query(x)
        guess = here.at(end)
        if not self._averages(start, end):
            return guess, memory
        there = yield end.query(guess)
        return (self._in_t if self.clock == "t" else self._in_s)(x, start, end, here, there), memory

    def _averages(self, start: Point, end: Point) -> bool:
        """Whether the step is of second order; on t it can be out of pure noise too."""
        if end.sigma == 0.0:
            return False
        h = end.lam - start.lam
        return abs(h) <= self.longest_step if math.isfinite(h) else self.clock == "t"

    @staticmethod
    def _in_s(x: Tensor, start: Point, end: Point, here: Denoised, there: Denoised) -> Tensor:
        """Line 11 on dx̄/ds = ε̂ with x̄ = x/α."""
        half = 0.5 * (end.s - start.s)
        return slope_step(x, start, end, (half, half), (here.eps, there.eps))

    @staticmethod
    def _in_t(x: Tensor, start: Point, end: Point, here: Denoised, there: Denoised) -> Tensor:
        """Line 11 on dx̃/dt = ε̂ − x̂₀ with x̃ = x/(α + σ), which on a flow is x itself."""
        half = 0.5 * (time_of(end) - time_of(start))
        return velocity_step(x, start, end, (half, half), (here.v, there.v))
