"""RES-2M."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step
from latentry.solvers import Guarded, exponential_multistep


class RES2M(Guarded, Scheduler):
    """Multistep refined exponential solver (Zhang et al. 2023, arXiv:2308.02157): order 2, one evaluation a step.

    The weights are the exact integrals: the φ functions of its order conditions.
    """

    Memory = History

    lower_order_final: bool = Field(default=False, description="order 1 in the last step (to σ = 0 it always is)")

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Takes x̂₀ as linear in λ through the last two evaluations."""
        return exponential_multistep(self, x, interval, memory, 2, lower_final=self.lower_order_final)
