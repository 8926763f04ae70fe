"""SDE-DPM-Solver++(2M)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import Ancestral, EtaRule, History, Interval, Noise, Scheduler, Step, remember
from latentry_dpmpp._multistep import FINAL_TEXT, LONGEST_TEXT, SOLVER_TEXT, Solver, extrapolate, noisy_order, two_step


class DPMpp2MSDE(Ancestral, Scheduler):
    """SDE-DPM-Solver++(2M) (Lu et al. 2022, arXiv:2211.01095): weak order 2, one evaluation a step."""

    Memory = History

    eta_rule: EtaRule = Field("sde", description="what η means between 0 and 1: the reverse SDE's, or ancestral")
    solver: Solver = Field("midpoint", description=SOLVER_TEXT)
    longest_step: float = Field(1.5, ge=0.0, description=LONGEST_TEXT)
    lower_order_final: bool = Field(False, description=FINAL_TEXT)

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """x̂₀ taken as linear in λ through the last two evaluations; then the noise."""
        denoised = yield interval.start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", 2)
        below, deviation = self.lowered(interval)
        order = interval.order(2, nodes, lower_final=self.lower_order_final, from_noise=True)
        if noisy_order(order, interval, below, self.longest_step) == 1:
            end = denoised.at(below)
        else:
            end = extrapolate(x, interval, below, nodes, two_step(self.solver))
        return self.renoised(end, deviation, interval, noise), History(nodes)
