"""Heun's step from one level to another."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Literal

from torch import Tensor

from latentry._numerics._denoised import Denoised
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._solvers._guard import GuardedStages
from latentry._numerics._solvers._slopes import slope_step, time_of, velocity_step

Clock = Literal["t", "s"]
"""What slopes are averaged over: t = σ/(α + σ), a rectified flow's time, or s = σ/α."""


def heun_step(
    guard: GuardedStages, x: Tensor, start: Point, end: Point, clock: Clock = "t", longest: float = math.inf
) -> Generator[Query, Denoised, Tensor]:
    """An Euler step, the slope at its end, and the step again with the mean of both slopes (Karras et al. 2022,
    arXiv:2206.00364, algorithm 2, lines 7 to 11). Into σ = 0 and, on s, out of pure noise, the Euler step alone.

    Args:
        guard: draws the step back where it extrapolates too far.
        x: the sample at ``start``.
        start: where the step begins.
        end: where it ends.
        clock: what the slopes are averaged over.
        longest: a step longer than this in λ is Euler's.

    Returns:
        the sample at ``end``.
    """
    here = yield start.query(x)
    guess = here.at(end)
    h = end.lam - start.lam
    # on t it can be out of pure noise too
    if end.sigma == 0.0 or not (abs(h) <= longest if math.isfinite(h) else clock == "t"):
        return guess
    there = yield end.query(guess)
    if clock == "t":
        half = 0.5 * (time_of(end) - time_of(start))
        full = velocity_step(x, start, end, (half, half), (here.v, there.v))
    else:
        half = 0.5 * (end.s - start.s)
        full = slope_step(x, start, end, (half, half), (here.eps, there.eps))
    return guard.drawn_back_to_mean(full, guess, here, there, end)
