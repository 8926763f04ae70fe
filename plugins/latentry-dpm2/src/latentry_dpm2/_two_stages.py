"""The deterministic step that both schedulers share."""

from __future__ import annotations

import math
from collections.abc import Generator

from torch import Tensor

from latentry import Denoised, Interval, Point, Query
from latentry.solvers import GuardedStages, exponential_step, fitted_weights, slope_step


def two_stages(
    guard: GuardedStages,
    x: Tensor,
    here: Denoised,
    end: Point,
    interval: Interval,
    r: float,
    longest_step: float,
    *,
    fitted: bool = False,
) -> Generator[Query, Denoised, Tensor]:
    """DPM-Solver-2 (Lu et al. 2022, arXiv:2206.00927, algorithm 4): a second evaluation at λ_start + r·h.

    In x̄ = x/α and s = σ/α it is x̄_end = x̄ + (s_end − s)·((1 − 1/2r)·ε̂ + 1/2r·ε̂(u)). First order where the step
    is longer than ``longest_step``, as steps from pure noise and to σ = 0 always are.

    Args:
        guard: draws the step back where it extrapolates too far.
        x: the sample at the level of ``here``.
        here: the evaluation at the start.
        end: where the step ends; may lie below the interval's end.
        interval: the step.
        r: r₁ of the paper; 1/2 is algorithm 1.
        longest_step: h up to which there is a second stage.
        fitted: weight it as ``fitted_weights`` does.
    """
    start = here.point
    h = end.lam - start.lam
    if abs(h) > longest_step or not math.isfinite(h):
        return here.at(end)
    between = interval.at(lam=start.lam + r * h)
    there = yield between.query(here.at(between))
    whole = end.s - start.s
    later = whole / (2.0 * r)
    full = slope_step(x, start, end, (whole - later, later), (here.eps, there.eps))
    if fitted:
        # the same step, told as weights of x̂₀: ε̂(u) − ε̂ is (x̂₀ − x̂₀(u))/u
        w = -later / between.s
        weights = fitted_weights(start, between, end, (-whole / start.s - w, w))
        full = exponential_step(x, start, end, weights, (here.x0, there.x0))
    return guard.drawn_back_to_stages(full, here, there, end, fitted=fitted)
