"""Unified predictor-corrector."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from latentry import Interval, Node, Noise, Point, Scheduler, Step, remember
from latentry.solvers import DynamicThreshold, Guarded
from latentry_unipc._weights import Variant, unified_step


class Past(NamedTuple):
    """What a step remembers, for the next step to correct it.

    Attributes:
        nodes: past evaluations, newest first.
        x: the sample the last step began with, corrected; None if its result will not be corrected.
        order: of the last step's predictor.
    """

    nodes: tuple[Node, ...] = ()
    x: Tensor | None = None
    order: int = 0


class UniPC(Guarded, Scheduler):
    """The unified predictor-corrector (Zhao et al. 2023, arXiv:2302.04867, algorithms 1 and 2; data prediction as in
    algorithms 5 and 6): one evaluation a step.

    UniP-p predicts. The evaluation at the predicted sample, which the next step needs anyway, lets UniC-p redo the
    last step: order p + 1 at no extra cost. Without the corrector, or with a part of it, the order is p.
    """

    Memory = Past

    order: int = Field(
        default=2, ge=1, le=3, description="p, the order of the predictor; the corrector raises it to p + 1"
    )
    variant: Variant = Field(
        default="bh2", description="B(h) where the order truncates it: bh1 h, bh2 e^h − 1, exact neither"
    )
    form: Literal["x0", "eps"] = Field(
        default="x0", description="what is extrapolated: x₀ (guided sampling) or the noise"
    )
    corrector: float = Field(
        default=1.0, ge=0.0, le=1.0, description="how far a corrected sample replaces the predicted one"
    )
    skip_corrector: frozenset[int] = Field(
        default=frozenset(), description="steps, from 0, whose results are not corrected"
    )
    lower_order_final: bool = Field(default=True, description="order 2 in the last step but one, 1 in the last")
    threshold: float = Field(
        default=0.0, ge=0.0, le=1.0, description="quantile of dynamic thresholding of x₀; 0 is off"
    )
    threshold_maximum: float = Field(default=math.inf, ge=1.0, description="upper limit of thresholding; 1 clips x₀")

    def step(self, x: Tensor, interval: Interval, memory: Past, noise: Noise) -> Step:
        """UniC on the last step, then UniP on this one."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        if self.threshold > 0.0:
            denoised = DynamicThreshold(self.threshold, self.threshold_maximum)(denoised)
        nodes = remember(memory.nodes, denoised, self.form, self.order)
        if memory.x is not None and denoised.real and self._corrects(interval.index - 1):
            used = (*memory.nodes[: memory.order], nodes[0])
            before = memory.nodes[0].point
            corrected = self._update(memory.x, before, start, used)
            corrected = self.drawn_back(corrected, denoised, start, first=x, start=before)
            x = corrected if self.corrector == 1.0 else torch.lerp(x, corrected, self.corrector)
        if nodes[0].point != start or not self._regular(interval):
            return denoised.at(end), Past(nodes)
        order = interval.order(self.order, nodes, lower_final=self.lower_order_final, from_noise=True)
        full = self._update(x, start, end, nodes[:order])
        if order > 1:
            full = self.drawn_back(full, denoised, end, first=self._update(x, start, end, nodes[:1]))
        return full, Past(nodes, x, order)

    def _regular(self, interval: Interval) -> bool:
        """Whether the step's result can be corrected: for x₀ also after a start at pure noise."""
        from_noise = interval.start.alpha == 0.0 and interval.end.sigma > 0.0
        return not interval.singular or (from_noise and self.form == "x0")

    def _corrects(self, step: int) -> bool:
        return self.corrector > 0.0 and step not in self.skip_corrector

    def _update(self, x: Tensor, start: Point, end: Point, nodes: tuple[Node, ...]) -> Tensor:
        return unified_step(x, start, end, nodes, self.variant, self.form)
