"""The single steps of DPM-Solver: ε̂ as a polynomial in λ through two evaluations of the step."""

from __future__ import annotations

from torch import Tensor

from latentry import Node, Point
from latentry.solvers import exponential_step, exponential_weights, midpoint_weights


def second_order(x: Tensor, first: Node, inner: Node, end: Point) -> Tensor:
    """DPM-Solver-2 (Lu et al. 2022, arXiv:2206.00927, algorithm 4): the slope counts (e^h − 1)/2.

    Args:
        x: the sample at the step's start.
        first: ε there.
        inner: ε at a level within the step.
        end: where the step ends.
    """
    start = first.point
    weights = midpoint_weights(inner.point.lam, start.lam, end.lam, -1.0)
    return exponential_step(x, start, end, weights, (first.value, inner.value), "eps")


def linear(x: Tensor, first: Node, inner: Node, end: Point) -> Tensor:
    """ε linear in λ, integrated exactly: the second stage of DPM-Solver-3, and its end (algorithm 5).

    It is of order 2, and of order 3 where ``inner`` lies at two thirds of the step and is itself good to order 2.
    Arguments are those of ``second_order``.
    """
    start = first.point
    weights = exponential_weights((start.lam, inner.point.lam), start.lam, end.lam, -1.0)
    return exponential_step(x, start, end, weights, (first.value, inner.value), "eps")
