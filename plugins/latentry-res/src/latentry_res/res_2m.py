"""RES-2M."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step
from latentry_res._multistep import FINAL_TEXT, multistep


class RES2M(Scheduler):
    """Multistep refined exponential solver (Zhang et al. 2023, arXiv:2308.02157): order 2, one evaluation a step."""

    Memory = History

    lower_order_final: bool = Field(False, description=FINAL_TEXT)

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """x̂₀ taken as linear in λ through the last two evaluations."""
        return multistep(x, interval, memory, 2, self.lower_order_final)
