"""DPM-Solver++ SDE, single step."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import EtaRule, Fitted, SlopeWeight, StagedSDE, exponential_stages, two_point_rule
from latentry_dpmpp._rules import SOLVER_TEXT
from latentry_dpmpp._sde import ETA_TEXT


class DPMppSDE(Fitted, StagedSDE, Scheduler):
    """The SDE form of DPM-Solver++(2S) (Lu et al. 2022, arXiv:2211.01095, algorithm 1; Crowson's k-diffusion): weak
    order 2, two evaluations a step, one where it leaves α = 0 or reaches σ = 0.

    Both evaluations see one noise path. With independent draws for the part and the whole the weak order would be 1.
    """

    eta_rule: EtaRule = Field(default="sde", description=ETA_TEXT)
    r: float = Field(default=0.5, gt=0.0, lt=1.0, description="where in λ the second evaluation lies within the step")
    solver: SlopeWeight = Field(default="exact", description=f"with fitted=false: {SOLVER_TEXT}")

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Takes a first-order step to λ_start + r·h, then the whole step with x̂₀ linear in λ."""
        rules = (two_point_rule(self.solver),)
        end = yield from exponential_stages(self, x, interval, noise, (self.r,), rules, fitted=self.fitted)
        return end, memory
