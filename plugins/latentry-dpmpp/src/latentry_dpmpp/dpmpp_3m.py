"""DPM-Solver++(3M)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step
from latentry.solvers import GuardedOrders, exponential_multistep
from latentry_dpmpp._rules import FINAL_TEXT, VARIANT_TEXT, Variant, three_step


class DPMpp3M(GuardedOrders, Scheduler):
    """The three-step member of DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095): order 3, one evaluation a step."""

    Memory = History

    variant: Variant = Field(default="exact", description=VARIANT_TEXT)
    lower_order_final: bool = Field(default=True, description=FINAL_TEXT)

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Takes x̂₀ as quadratic in λ through the last three evaluations."""
        rule = three_step(self.variant)
        return exponential_multistep(self, x, interval, memory, 3, lower_final=self.lower_order_final, rule=rule)
