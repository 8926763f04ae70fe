"""Classifier-free guidance for networks into which guidance was distilled."""

from __future__ import annotations

import torch
from pydantic import Field, field_validator

from latentry import NoMemory
from latentry.guidance import COND, UNCOND, GuidanceMethod, Guide, GuidedQuery


class TrueCFG(GuidanceMethod):
    """output = uncond + scale · (cond − uncond), both with the scale that the network takes as an input.

    It gives a negative prompt to FLUX and its like, at the cost of a second evaluation.
    """

    scale: float = Field(default=2.0, ge=0.0, le=1000.0, description="scale beside the network's own; not 1")

    @field_validator("scale")
    @classmethod
    def _has_an_effect(cls, scale: float) -> float:
        if scale == 1.0:
            raise ValueError("it must not be 1, which is no guidance")
        return scale

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """Combines the outputs, whatever their prediction type."""
        uncond, cond = yield UNCOND, COND
        return torch.lerp(uncond.output, cond.output, self.scale), memory
