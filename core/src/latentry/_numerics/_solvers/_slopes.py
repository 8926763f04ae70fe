"""The step of methods that add up slopes in s = σ/α: Heun, linear multistep, Runge-Kutta."""

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
