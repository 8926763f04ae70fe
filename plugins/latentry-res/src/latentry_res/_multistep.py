"""The multistep refined exponential solver, of any order."""

from __future__ import annotations

from torch import Tensor

from latentry import History, Interval, Step, exponential_step, exponential_weights, remember

FINAL_TEXT = "order 2 in the last step but one, 1 in the last (which always is of order 1 where it reaches σ = 0)"


def multistep(x: Tensor, interval: Interval, memory: History, order: int, lower_final: bool) -> Step:
    """One evaluation; x̂₀ goes as a polynomial in λ through the last ones and is integrated exactly (Zhang et al. 2023,
    arXiv:2308.02157: the weights are the φ functions that its order conditions ask for).
    """
    start, end = interval.start, interval.end
    denoised = yield start.query(x)
    nodes = remember(memory.nodes, denoised, "x0", order)
    order = interval.order(order, nodes, lower_final=lower_final, from_noise=True)
    if order == 1:
        return denoised.at(end), History(nodes)
    weights = exponential_weights([node.point.lam for node in nodes[:order]], start.lam, end.lam)
    return exponential_step(x, start, end, weights, [node.value for node in nodes]), History(nodes)
