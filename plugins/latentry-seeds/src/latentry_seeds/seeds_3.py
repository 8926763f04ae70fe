"""SEEDS-3."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import EtaRule, StagedSDE, exponential_stages, exponential_weights
from latentry_seeds._texts import ETA_TEXT


class SEEDS3(StagedSDE, Scheduler):
    """The stochastic exponential solver of three stages (Gonzalez et al. 2023, arXiv:2305.14267, algorithm 4), with
    data prediction: three evaluations a step on one noise path, one where it leaves α = 0 or reaches σ = 0.

    Weak order 2; its ODE, η = 0, is of order 3 with the third evaluation at two thirds of the step.
    """

    eta_rule: EtaRule = Field(default="sde", description=ETA_TEXT)
    r1: float = Field(default=1 / 3, gt=0.0, lt=1.0, description="where in λ the second evaluation lies")
    r2: float = Field(default=2 / 3, gt=0.0, le=1.0, description="where in λ the third evaluation lies, after r1")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.r1 < self.r2:
            raise ValueError(f"r1 is {self.r1:g} and r2 {self.r2:g}: the third evaluation lies after the second")
        return self

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Two inner levels, each with x̂₀ linear in λ through the start and the evaluation before; then the end."""
        linear = exponential_weights, exponential_weights
        end = yield from exponential_stages(self, x, interval, noise, (self.r1, self.r2), linear)
        return end, memory
