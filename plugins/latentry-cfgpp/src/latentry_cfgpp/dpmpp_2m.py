"""DPM-Solver++(2M) with CFG++."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Node, Noise, Scheduler, Step, remember
from latentry.solvers import Guarded, combine, midpoint_weights
from latentry_cfgpp._unguided import unguided


class DPMpp2MCFGpp(Guarded, Scheduler):
    """DPM-Solver++(2M) with CFG++ (Chung et al. 2024, arXiv:2406.08070, appendix): the first-order step is that of DDIM
    with CFG++, and the slope in λ goes from the last unguided x̂₀ to the guided one.

    Order 2 where both outputs agree, one evaluation a step.
    """

    Memory = History
    needs: ClassVar[frozenset[str]] = frozenset({"uncond"})

    longest_step: float = Field(
        default=math.inf, gt=0.0, description="longest step in λ at second order; longer steps are first order"
    )

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Denoises with guidance, adds the unguided noise back, and moves along the slope."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        if end.sigma == 0.0:
            return denoised.at(end), memory
        free = unguided(denoised)
        nodes, first_order = remember(memory.nodes, free, "x0", 2), end.mix(denoised.x0, free.eps)
        if abs(interval.h) > self.longest_step or interval.order(2, nodes, lower_final=False) == 1:
            return first_order, History(nodes)
        before: Node = nodes[1]
        _, slope = midpoint_weights(before.point.lam, start.lam, end.lam)
        gain = -end.alpha * slope
        full = combine((1.0, first_order), (gain, denoised.x0), (-gain, before.value))
        return self.drawn_back(full, denoised, end, first=first_order), History(nodes)
