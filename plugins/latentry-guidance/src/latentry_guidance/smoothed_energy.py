"""Smoothed-energy guidance (SEG)."""

from __future__ import annotations

import math

from pydantic import Field

from latentry import NoMemory
from latentry.guidance import AttentionChange, Branch, GuidanceMethod, Guide, GuidedQuery
from latentry_guidance._weakened import away_from


class SmoothedEnergy(GuidanceMethod):
    """cond + γ·(cond − smoothed) (Hong 2024, arXiv:2408.00760, algorithm 1), on top of classifier-free guidance.

    In the smoothed output the queries of the picture are blurred over the picture in some blocks, which flattens the
    energy of their attention.
    """

    strength: float = Field(default=3.0, gt=0.0, le=100.0, description="γ, the scale of this guidance")
    blur: float = Field(
        default=math.inf, gt=0.0, description="standard deviation of the blur in tokens; ∞ for the mean"
    )
    blocks: tuple[int, ...] = Field(
        default=(), description="attention blocks that are smoothed, counted from 0; the middle if none is given"
    )

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """Combines the outputs, whatever their prediction type."""
        smoothed = Branch(attention=AttentionChange(self.blocks, self.blur))
        return (yield from away_from(smoothed, query, self.strength)), memory
