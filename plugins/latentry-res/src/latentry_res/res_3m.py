"""RES-3M."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step
from latentry_res._multistep import FINAL_TEXT, multistep


class RES3M(Scheduler):
    """Multistep refined exponential solver (Zhang et al. 2023, arXiv:2308.02157): order 3, one evaluation a step."""

    Memory = History

    lower_order_final: bool = Field(True, description=FINAL_TEXT)

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """x̂₀ taken as quadratic in λ through the last three evaluations."""
        return multistep(x, interval, memory, 3, self.lower_order_final)
