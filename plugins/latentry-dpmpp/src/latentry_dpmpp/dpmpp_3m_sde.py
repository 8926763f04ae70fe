"""SDE-DPM-Solver++(3M)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from latentry import Ancestral, EtaRule, History, Interval, Noise, Scheduler, Step, remember
from latentry_dpmpp._multistep import (
    FINAL_TEXT,
    LONGEST_TEXT,
    VARIANT_TEXT,
    Variant,
    extrapolate,
    noisy_order,
    three_step,
)


class DPMpp3MSDE(Ancestral, Scheduler):
    """The SDE form of DPM-Solver++(3M) (Lu et al. 2022, arXiv:2211.01095; Crowson's k-diffusion): one evaluation a
    step.

    Weak order 2 where η > 0, as what the noise does within a step is not looked at; order 3 at η = 0.
    """

    Memory = History

    eta_rule: EtaRule = Field("sde", description="what η means between 0 and 1: the reverse SDE's, or ancestral")
    variant: Variant = Field("exact", description=VARIANT_TEXT)
    longest_step: float = Field(1.5, ge=0.0, description=LONGEST_TEXT)
    lower_order_final: bool = Field(True, description=FINAL_TEXT)

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """x̂₀ taken as quadratic in λ through the last three evaluations; then the noise."""
        denoised = yield interval.start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", 3)
        below, deviation = self.lowered(interval)
        order = interval.order(3, nodes, lower_final=self.lower_order_final, from_noise=True)
        order = noisy_order(order, interval, below, self.longest_step)
        if order == 1:
            end = denoised.at(below)
        else:
            end = extrapolate(x, interval, below, nodes[:order], three_step(self.variant))
        return self.renoised(end, deviation, interval, noise), History(nodes)
