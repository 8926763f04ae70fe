"""DPM-Solver++(2M) with CFG++."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Node, Noise, Scheduler, Step, remember
from latentry.solvers import Ancestral, EtaRule, Guarded, SlopeWeight, combine, two_point_rule
from latentry_cfgpp._unguided import unguided


class DPMpp2MCFGpp(Ancestral, Guarded, Scheduler):
    """DPM-Solver++(2M) with CFG++ (Chung et al. 2024, arXiv:2406.08070, appendix): the first-order step is that of DDIM
    with CFG++, and the slope in λ goes from the last unguided x̂₀ to the guided one, or to the unguided one.

    With ``solver=exact`` it is RES (Zhang et al. 2023, arXiv:2308.02157) with CFG++, with η > 0 the reverse SDE's form
    of either. Order 2 where both outputs agree, weak order 2 with noise, one evaluation a step.
    """

    Memory = History
    needs: ClassVar[frozenset[str]] = frozenset({"uncond"})

    eta: float = Field(default=0.0, ge=0.0, le=5.0, description="stochasticity: 0 is deterministic, 1 the reverse SDE")
    eta_rule: EtaRule = Field(
        default="sde",
        description="what η means: g² of the reverse SDE (sde), σ of the noise (ancestral), or in t (flow)",
    )
    solver: SlopeWeight = Field(
        default="midpoint", description="how the slope is weighed: as half of the step (midpoint), or by its integral"
    )
    slope: Literal["guided", "unguided"] = Field(
        default="guided", description="which x̂₀ the slope leads to, from the last unguided one"
    )
    longest_step: float = Field(
        default=math.inf, gt=0.0, description="longest step in λ at second order; longer steps are first order"
    )

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Denoises with guidance, adds the unguided noise back, and moves along the slope; then adds fresh noise."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        if end.sigma == 0.0:
            return denoised.at(end), memory
        below, deviation = self.lowered(interval)
        free = unguided(denoised)
        nodes, y = remember(memory.nodes, free, "x0", 2), below.mix(denoised.x0, free.eps)
        if abs(interval.h) <= self.longest_step and interval.order(2, nodes, lower_final=False) == 2:
            before: Node = nodes[1]
            rate = (below.lam - start.lam) / interval.h
            _, weight = two_point_rule(self.solver)((start.lam, before.point.lam), start.lam, end.lam, rate)
            gain = -end.alpha * weight
            leads_to = denoised.x0 if self.slope == "guided" else free.x0
            full = combine((1.0, y), (gain, leads_to), (-gain, before.value))
            y = self.drawn_back(full, denoised, below, first=y)
        return self.renoised(y, deviation, interval, noise), History(nodes)
