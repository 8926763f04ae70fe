"""The step of exponential integrators, given their weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from latentry._numerics._linear import combine
from latentry._numerics._processes._point import Point


def exponential_step(
    x: Tensor,
    start: Point,
    end: Point,
    weights: Sequence[float],
    values: Sequence[Tensor],
    form: Literal["x0", "eps"] = "x0",
) -> Tensor:
    """The linear part solved exactly, plus the weighted evaluations (both levels with 0 < σ and 0 < α).

    * ``x0``: x_end = (σ_end/σ_start)·x + α_end·Σ w_j·x₀_j (DPM-Solver++, arXiv:2211.01095, eq. 9);
    * ``eps``: x_end = (α_end/α_start)·x + σ_end·Σ w_j·ε_j (DPM-Solver, arXiv:2206.00927, eq. 3.4).

    Args:
        x: the sample at ``start``.
        start: where the step begins.
        end: where it ends.
        weights: from ``exponential_weights`` or ``midpoint_weights``: rate 1 for x₀, −1 for ε.
        values: the evaluations, in the order of the weights; any beyond the last weight are ignored.
        form: what the evaluations are.
    """
    if form == "x0":
        kept, gain = end.sigma / start.sigma, end.alpha
    else:
        kept, gain = end.alpha / start.alpha, end.sigma
    return combine((kept, x), *((gain * w, value) for w, value in zip(weights, values, strict=False)))
