"""Heun's method with churn."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import Tensor

from latentry import Churn, Denoised, Interval, Noise, NoMemory, Point, Scheduler, Step, combine, slope_step


class Heun(Churn, Scheduler):
    """Heun's second-order method (Karras et al. 2022, arXiv:2206.00364, algorithm 2).

    Order 2, two evaluations a step; Euler's method, one evaluation, into σ = 0 and, on s, out of pure noise.
    """

    clock: Literal["s", "t"] = Field(
        "s", description="what the slopes are averaged over: s = σ/α, or on rectified flows t; no difference elsewhere"
    )
    longest_step: float = Field(
        2.4, gt=0.0, description="longest step in λ of full order; longer ones are of first order"
    )

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """An Euler step, the slope at its end, and the step again with the mean of both slopes."""
        end = interval.end
        x, start = self.churned(x, interval, noise)
        here = yield start.query(x)
        guess = here.at(end)
        in_t = self.clock == "t" and interval.process.kind == "flow"
        if end.sigma == 0.0 or (not in_t and not self._regular(end.lam - start.lam)):
            return guess, memory
        there = yield end.query(guess)
        average = self._in_t if in_t else self._in_s
        return average(x, start, end, here, there), memory

    def _regular(self, h: float) -> bool:
        return math.isfinite(h) and abs(h) <= self.longest_step

    @staticmethod
    def _in_s(x: Tensor, start: Point, end: Point, here: Denoised, there: Denoised) -> Tensor:
        """Line 11 on dx̄/ds = ε̂ with x̄ = x/α."""
        half = 0.5 * (end.s - start.s)
        return slope_step(x, start, end, (half, half), (here.eps, there.eps))

    @staticmethod
    def _in_t(x: Tensor, start: Point, end: Point, here: Denoised, there: Denoised) -> Tensor:
        """Line 11 on dx/dt = v, with t = σ."""
        half = 0.5 * (end.sigma - start.sigma)
        return combine((1.0, x), (half, here.v), (half, there.v))
