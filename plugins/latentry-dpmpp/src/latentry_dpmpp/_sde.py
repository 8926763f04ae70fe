"""What the SDE forms share: extrapolation to a level below the end, and the step of the multistep ones."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Node, Noise, Point, Step, remember
from latentry.solvers import Ancestral, EtaRule, exponential_step
from latentry_dpmpp._rules import Rule

ETA_TEXT = "what η means: g² of the reverse SDE (sde), σ of the fresh noise (ancestral), or in t (flow)"
LONGEST_TEXT = (
    "longest step, as (1 + η)·h, for order 2 where there is noise, half of it for order 3; inf for none, as the peers"
)


def extrapolate(x: Tensor, interval: Interval, below: Point, nodes: Sequence[Node], rule: Rule) -> Tensor:
    """From x to the level ``below``, which is the interval's end for an ODE and less noisy for an SDE.

    DPM-Solver++ and its SDE form (Lu et al. 2022, arXiv:2211.01095) differ by the rate at which old evaluations fade:
    1 and 1 + η, which is how much longer in λ the way to ``below`` is than the interval.
    """
    start = interval.start
    rate = (below.lam - start.lam) / interval.h
    weights = rule([node.point.lam for node in nodes], start.lam, interval.end.lam, rate)
    return exponential_step(x, start, below, weights, [node.value for node in nodes])


class MultistepSDE(Ancestral):
    """The options of the multistep SDE forms. A scheduler inherits from this class and from ``Scheduler``."""

    eta_rule: EtaRule = Field(default="sde", description=ETA_TEXT)
    longest_step: float = Field(default=1.5, ge=0.0, description=LONGEST_TEXT)

    def multistep(
        self, x: Tensor, interval: Interval, memory: History, noise: Noise, order: int, rule: Rule, lower_final: bool
    ) -> Step:
        """One evaluation; down with up to the last ``order`` of them, and up with fresh noise."""
        denoised = yield interval.start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", order)
        below, deviation = self.lowered(interval)
        order = interval.order(order, nodes, lower_final=lower_final, from_noise=True)
        order = self._held(order, interval, below)
        end = denoised.at(below) if order == 1 else extrapolate(x, interval, below, nodes[:order], rule)
        return self.renoised(end, deviation, interval, noise), History(nodes)

    def _held(self, order: int, interval: Interval, below: Point) -> int:
        """No more than the order that the length of a stochastic step allows.

        Old evaluations have other noise in them. Over a long step their weights exceed 1, and guided sampling runs
        away.
        """
        if below == interval.end:
            return order
        length, longest = below.lam - interval.start.lam, self.longest_step
        return min(order, 1 if length > longest else 2 if length > longest / 2 else 3)
