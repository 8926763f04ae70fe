"""SDE-DPM-Solver++(2M)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step
from latentry.solvers import SlopeWeight, two_point_rule
from latentry_dpmpp._rules import FINAL_TEXT, SOLVER_TEXT
from latentry_dpmpp._sde import MultistepSDE


class DPMpp2MSDE(MultistepSDE, Scheduler):
    """SDE-DPM-Solver++(2M) (Lu et al. 2022, arXiv:2211.01095): weak order 2, one evaluation a step."""

    Memory = History

    solver: SlopeWeight = Field(default="midpoint", description=SOLVER_TEXT)
    lower_order_final: bool = Field(default=False, description=FINAL_TEXT)

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Takes x̂₀ as linear in λ through the last two evaluations; then adds noise."""
        return self.multistep(x, interval, memory, noise, 2, two_point_rule(self.solver), self.lower_order_final)
