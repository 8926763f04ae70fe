"""SEEDS-2."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import EtaRule, Fitted, SlopeWeight, StagedSDE, exponential_stages, two_point_rule
from latentry_seeds._texts import ETA_TEXT


class SEEDS2(Fitted, StagedSDE, Scheduler):
    """The stochastic exponential solver of two stages (Gonzalez et al. 2023, arXiv:2305.14267, algorithm 3), with data
    prediction: weak order 2, two evaluations a step, one where it leaves α = 0 or reaches σ = 0.

    The second evaluation sees part of the noise that the whole step has: the paper's decomposition of its variance.
    """

    eta_rule: EtaRule = Field(default="sde", description=ETA_TEXT)
    r: float = Field(default=0.5, gt=0.0, le=1.0, description="where in λ the second evaluation lies within the step")
    solver: SlopeWeight = Field(
        default="midpoint",
        description="with fitted=false: weight of the slope in λ, half that of x̂₀ (φ₁), or its exact integral (φ₂)",
    )

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Takes a first-order step to λ_start + r·h, then the whole step with x̂₀ linear in λ."""
        rules = (two_point_rule(self.solver),)
        end = yield from exponential_stages(self, x, interval, noise, (self.r,), rules, fitted=self.fitted)
        return end, memory
