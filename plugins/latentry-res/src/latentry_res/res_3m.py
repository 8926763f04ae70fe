"""RES-3M."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step
from latentry.solvers import GuardedOrders, exponential_multistep


class RES3M(GuardedOrders, Scheduler):
    """Multistep refined exponential solver (Zhang et al. 2023, arXiv:2308.02157): order 3, one evaluation a step.

    The weights are the exact integrals: the φ functions of its order conditions.
    """

    Memory = History

    lower_order_final: bool = Field(default=True, description="order 2 in the last step but one, 1 in the last")

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Takes x̂₀ as quadratic in λ through the last three evaluations."""
        return exponential_multistep(self, x, interval, memory, 3, lower_final=self.lower_order_final)
