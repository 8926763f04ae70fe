"""The steps of methods that add up slopes, in s = σ/α or in a rectified flow's time: Heun, multistep, Runge-Kutta."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from latentry._numerics._linear import combine
from latentry._numerics._processes._point import Point


def slope_step(x: Tensor, start: Point, end: Point, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """x̄_end = x̄_start + Σ w_j·ε_j with x̄ = x/α, since dx̄/ds = ε̂; in the process's own x.

    With one weight s_end − s_start it is DDIM's transfer from x and ε (PNDM, arXiv:2202.09778, eq. 11).

    Args:
        x: the sample at ``start``, where 0 < α.
        start: where the step begins.
        end: where it ends.
        weights: in units of s; they sum to s_end − s_start.
        slopes: ε at the evaluations, in the order of the weights; any beyond the last weight are ignored.
    """
    gains = (end.alpha * weight for weight in weights)
    return combine((end.alpha / start.alpha, x), *zip(gains, slopes, strict=False))


def velocity_step(
    x: Tensor, start: Point, end: Point, weights: Sequence[float], velocities: Sequence[Tensor]
) -> Tensor:
    """x̃_end = x̃_start + Σ w_j·v_j with x̃ = x/(α + σ) and t = σ/(α + σ), since dx̃/dt = v̂ = ε̂ − x̂₀; in the process's
    own x. On a rectified flow x̃ is x and t its time, and both are finite at pure noise.

    Args:
        x: the sample at ``start``.
        start: where the step begins.
        end: where it ends.
        weights: in units of t; they sum to t_end − t_start.
        velocities: v at the evaluations, in the order of the weights; any beyond the last weight are ignored.
    """
    before, after = start.alpha + start.sigma, end.alpha + end.sigma
    gains = (after * weight for weight in weights)
    return combine((after / before, x), *zip(gains, velocities, strict=False))


def time_of(point: Point) -> float:
    """t = σ/(α + σ): the time at which a rectified flow has this level, from 0 at σ = 0 to 1 at pure noise."""
    return point.sigma / (point.alpha + point.sigma)
