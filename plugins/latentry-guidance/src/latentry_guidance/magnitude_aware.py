"""Magnitude-aware guidance (MAMBO-G)."""

from __future__ import annotations

import torch
from pydantic import Field

from latentry import NoMemory
from latentry.guidance import COND, UNCOND, GuidanceMethod, Guide, GuidedQuery
from latentry_guidance._vectors import norm


class MagnitudeAware(GuidanceMethod):
    """w' = 1 + (w − 1)·exp(−α·r), r = ‖v_c − v_u‖ / ‖v_u‖ (Zhu et al. 2025, arXiv:2508.03442).

    Early on the outputs are far apart, and a large scale breaks the picture; r measures that, picture by picture.
    v = ε − x₀ is a flow's velocity, whatever the network predicts.
    """

    alpha: float = Field(
        default=8.0, ge=0.0, description="how fast guidance falls with the distance; 0 is plain guidance"
    )

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """In v."""
        uncond, cond = yield UNCOND, COND
        ratio = norm(cond.v - uncond.v) / norm(uncond.v)
        scale = 1.0 + (query.scale - 1.0) * torch.exp(-self.alpha * ratio)
        return uncond.output + scale * (cond.output - uncond.output), memory
