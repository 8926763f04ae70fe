"""The step of exponential multistep methods, for any rule of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from latentry._numerics._interval import History, Interval, remember
from latentry._numerics._solvers._exponential import Rule, exponential_step
from latentry._numerics._solvers._guard import Guarded, GuardedOrders
from latentry._numerics._solvers._weights import exponential_weights

if TYPE_CHECKING:
    from latentry._numerics._step import Step


def exponential_multistep(
    guard: Guarded,
    x: Tensor,
    interval: Interval,
    memory: History,
    order: int,
    *,
    lower_final: bool,
    rule: Rule = exponential_weights,
) -> Step:
    """One evaluation; x̂₀ goes as a polynomial in λ through the last ones, weighted by the rule (DPM-Solver++,
    arXiv:2211.01095, algorithm 2 and eq. 9).

    Args:
        guard: draws the step back where it extrapolates too far.
        x: the sample at the interval's start.
        interval: the step.
        memory: of x₀ values; what a scheduler with ``Memory = History`` is given.
        order: how many evaluations, this one included, are used at most.
        lower_final: use lower the order to the number of steps that remain.
        rule: the weights; the exact integral of the polynomial by default.
    """
    start, end = interval.start, interval.end
    denoised = yield start.query(x)
    nodes = remember(memory.nodes, denoised, "x0", order)
    order = interval.order(order, nodes, lower_final=lower_final, from_noise=True)
    if order == 1:
        return denoised.at(end), History(nodes)

    def step(order: int) -> Tensor:
        weights = rule([node.point.lam for node in nodes[:order]], start.lam, end.lam, 1.0)
        return exponential_step(x, start, end, weights, [node.value for node in nodes])

    if order > 2 and isinstance(guard, GuardedOrders):
        return guard.drawn_back_by_orders(step(order), lambda: step(2), denoised, end), History(nodes)
    return guard.drawn_back(step(order), denoised, end), History(nodes)
