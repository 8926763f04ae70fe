"""The steps of exponential integrators, given their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor

from latentry._numerics._interval import Node
from latentry._numerics._linear import combine
from latentry._numerics._processes._point import Point

Rule = Callable[[Sequence[float], float, float, float], tuple[float, ...]]
"""Weights from the nodes' λ, the step's start and end, and the rate, as ``exponential_weights`` has them."""


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


def exponential_sde_step(
    x: Tensor, start: Point, end: Point, below: Point, nodes: Sequence[Node], rule: Rule
) -> Tensor:
    """The step of data prediction to ``below``, from where fresh noise leads up to the end's level.

    DPM-Solver++ and its SDE form (Lu et al. 2022, arXiv:2211.01095) differ by the rate at which evaluations fade: 1 and
    1 + η, which is how much longer in λ the way to ``below`` is than the step.

    Args:
        x: the sample at ``start``.
        start: where the step begins.
        end: where it ends; both levels with 0 < σ and 0 < α.
        below: as ``ancestral`` gives it; the end itself for an ODE.
        nodes: evaluations of x₀, in the order that the rule takes them in.
        rule: the weights.
    """
    weights = sde_weights(start, end, below, nodes, rule)
    return exponential_step(x, start, below, weights, [node.value for node in nodes])


def sde_weights(start: Point, end: Point, below: Point, nodes: Sequence[Node], rule: Rule) -> tuple[float, ...]:
    """The weights of ``exponential_sde_step``, whose arguments these are."""
    rate = (below.lam - start.lam) / (end.lam - start.lam)
    return rule([node.point.lam for node in nodes], start.lam, end.lam, rate)
