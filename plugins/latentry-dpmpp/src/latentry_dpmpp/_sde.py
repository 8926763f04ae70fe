"""What the multistep SDE forms share: their options and their step."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Point, Step, remember
from latentry.solvers import Ancestral, EtaRule, Guarded, Rule, exponential_sde_step, two_point_rule

ETA_TEXT = "what η means: g² of the reverse SDE (sde), σ of the fresh noise (ancestral), or in t (flow)"
LONGEST_TEXT = (
    "longest step, as (1 + η)·h, for order 2 where there is noise, half of it for order 3; inf for none, as the peers"
)

STEADY = 0.75
"""How far in λ the way down may be for weights that are exact: they grow with its length and with the order, and with
them what is extrapolated of the noise in past evaluations.
"""


class MultistepSDE(Ancestral, Guarded):
    """The options of the multistep SDE forms. A scheduler inherits from this class and from ``Scheduler``."""

    eta_rule: EtaRule = Field(default="sde", description=ETA_TEXT)
    longest_step: float = Field(default=math.inf, ge=0.0, description=LONGEST_TEXT)

    def multistep(
        self,
        x: Tensor,
        interval: Interval,
        memory: History,
        noise: Noise,
        order: int,
        rule: Rule,
        lower_final: bool,
        *,
        steady: bool = False,
    ) -> Step:
        """Evaluates once, goes down with up to ``order`` of the last evaluations, and up with fresh noise; ``steady``
        as 2M where that is further than ``STEADY``.
        """
        start = interval.start
        denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", order)
        below, deviation = self.lowered(interval)
        order = interval.order(order, nodes, lower_final=lower_final, from_noise=True)
        order = self._held(order, interval, below)
        if steady and below != interval.end and below.lam - start.lam > STEADY:
            order, rule = min(order, 2), two_point_rule("midpoint")
        if order == 1:
            end = denoised.at(below)
        else:
            full = exponential_sde_step(x, start, interval.end, below, nodes[:order], rule)
            end = self.drawn_back(full, denoised, below)
        return self.renoised(end, deviation, interval, noise), History(nodes)

    def _held(self, order: int, interval: Interval, below: Point) -> int:
        """Limits the order to what the length of a stochastic step allows.

        Old evaluations have other noise in them. Over a long step their weights exceed 1, and guided sampling diverges.
        """
        if below == interval.end:
            return order
        length, longest = below.lam - interval.start.lam, self.longest_step
        return min(order, 1 if length > longest else 2 if length > longest / 2 else 3)
