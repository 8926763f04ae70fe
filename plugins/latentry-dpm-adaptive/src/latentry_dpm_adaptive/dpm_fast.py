"""DPM-Solver-fast."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor

from latentry import Interval, Node, Noise, Scheduler, Step
from latentry.solvers import INNER, STAGES, GuardedStages, slope_step
from latentry_dpm_adaptive._single_step import linear, second_order


class Group(NamedTuple):
    """The single step that is under way, over as many intervals as its order.

    Attributes:
        order: its order; 0 before it begins.
        x: the sample where it began.
        nodes: its evaluations of ε so far, in their order.
    """

    order: int = 0
    x: Tensor | None = None
    nodes: tuple[Node, ...] = ()


class DPMFast(GuardedStages, Scheduler):
    """DPM-Solver-fast (Lu et al. 2022, arXiv:2206.00927, section 3.4 and appendix D.2).

    N intervals with one evaluation each. Three of them make one step of DPM-Solver-3, whose stages end on the
    boundaries in between; the last ones make steps of order 2 and 1, so that N need not be a multiple of three. In the
    paper the stages lie at thirds of the step in λ: so they do on a grid that is even in λ, and there it is of order 3.

    A step that leaves α = 0 or reaches σ = 0 is of first order and stands alone.
    """

    Memory: ClassVar[type] = Group

    longest_step: float = Field(
        default=1.5, gt=0.0, description="longest single step in λ; a longer one is made of steps of first order"
    )

    def step(self, x: Tensor, interval: Interval, memory: Group, noise: Noise) -> Step:
        """The next stage of the single step that is under way, from where that began."""
        end = interval.end
        denoised = yield interval.start.query(x)
        if interval.singular or not denoised.real:
            return denoised.at(end), Group()
        node = Node(interval.start, denoised.eps)
        if memory.x is None or not self._continues(memory.nodes[0], node, interval):
            memory = Group(_order(interval.remaining), x)
        assert memory.x is not None
        nodes = (*memory.nodes, node)
        if len(nodes) == 1:
            result = denoised.at(end)
        else:
            along = second_order if memory.order == 2 else linear
            begun = nodes[0]
            full = along(memory.x, begun, node, end)
            first, slack = denoised.at(end), STAGES
            if not self.guard_stages:
                first = slope_step(memory.x, begun.point, end, (end.s - begun.point.s,), (begun.value,))
                slack = INNER
            result = self.drawn_back_over_its_length(full, begun.point, denoised, end, first, slack)
        return result, Group() if len(nodes) == memory.order else memory._replace(nodes=nodes)

    def _continues(self, first: Node, node: Node, interval: Interval) -> bool:
        """Whether the interval can be the next part of the single step that began at the first evaluation."""
        length = abs(interval.end.lam - first.point.lam)
        return length <= self.longest_step and interval.order(2, (node, first), lower_final=False) == 2


def _order(remaining: int) -> int:
    """Order of the single step that begins with this many evaluations left: 3, …, 3, then 2 and 1, or 2, or 1."""
    return 3 if remaining > 3 else min(remaining, 2)
