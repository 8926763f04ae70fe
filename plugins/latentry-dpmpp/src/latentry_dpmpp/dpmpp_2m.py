"""DPM-Solver++(2M)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step
from latentry.solvers import Guarded, SlopeWeight, exponential_multistep, two_point_rule
from latentry_dpmpp._rules import FINAL_TEXT, SOLVER_TEXT


class DPMpp2M(Guarded, Scheduler):
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv:2211.01095, algorithm 2): order 2, one evaluation a step."""

    Memory = History

    solver: SlopeWeight = Field(default="midpoint", description=SOLVER_TEXT)
    lower_order_final: bool = Field(default=False, description=FINAL_TEXT)

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Takes x̂₀ as linear in λ through the last two evaluations."""
        rule = two_point_rule(self.solver)
        return exponential_multistep(self, x, interval, memory, 2, lower_final=self.lower_order_final, rule=rule)
