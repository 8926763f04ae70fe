"""A guidance scale that is a function of the noise level."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field

from latentry import NoMemory, Point
from latentry.guidance import COND, UNCOND, GuidanceMethod, Guide, GuidedQuery


class Scheduled(GuidanceMethod):
    """w' = 1 + (w − 1)·g(t), t = σ/(α + σ) from 1 at pure noise to 0.

    g is 2·(1 − t) (``linear``) or 1 + cos π·t (``cosine``), both of mean 1 and growing towards the picture (Wang et al.
    2024, arXiv:2404.13040), or 1 throughout (``constant``); outside of ``low`` ≤ σ/α ≤ ``high`` it is 0, and the output
    without the prompt is not computed (Kynkäänniemi et al. 2024, arXiv:2404.07724).
    """

    shape: Literal["constant", "linear", "cosine"] = Field(default="linear", description="how the scale changes")
    low: float = Field(default=0.0, ge=0.0, description="σ/α below which there is no guidance")
    high: float = Field(default=math.inf, gt=0.0, description="σ/α above which there is no guidance")

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """Combines the outputs, whatever their prediction type."""
        factor = self.factor(query.point)
        if factor == 0.0:
            (cond,) = yield (COND,)
            return cond.output, memory
        uncond, cond = yield UNCOND, COND
        return torch.lerp(uncond.output, cond.output, 1.0 + (query.scale - 1.0) * factor), memory

    def factor(self, point: Point) -> float:
        """g at a noise level."""
        if not self.low <= point.s <= self.high:
            return 0.0
        time = point.sigma / (point.alpha + point.sigma)
        return {"constant": 1.0, "linear": 2.0 * (1.0 - time), "cosine": 1.0 + math.cos(math.pi * time)}[self.shape]
