"""SDE-DPM-Solver++(3M)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step
from latentry_dpmpp._rules import FINAL_TEXT, VARIANT_TEXT, Variant, three_step
from latentry_dpmpp._sde import MultistepSDE


class DPMpp3MSDE(MultistepSDE, Scheduler):
    """The SDE form of DPM-Solver++(3M) (Lu et al. 2022, arXiv:2211.01095; Crowson's k-diffusion): one evaluation a
    step.

    Weak order 2 where η > 0, since the effect of the noise within a step is ignored; order 3 at η = 0.
    """

    Memory = History

    variant: Variant = Field(default="exact", description=VARIANT_TEXT)
    lower_order_final: bool = Field(default=True, description=FINAL_TEXT)
    steady: bool = Field(
        default=True,
        description="go as 2M SDE where the way down, (1 + η)·h, is longer than 0.75 in λ: three evaluations "
        "extrapolate too far there; pictures made before there was this option are made again without it",
    )

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Takes x̂₀ as quadratic in λ through the last three evaluations; then adds noise."""
        return self.multistep(
            x, interval, memory, noise, 3, three_step(self.variant), self.lower_order_final, steady=self.steady
        )
