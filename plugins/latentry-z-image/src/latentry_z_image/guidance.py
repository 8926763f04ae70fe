"""Classifier-free guidance whose result has a limited norm, and which ends before the run does."""

from __future__ import annotations

import torch
from pydantic import Field

from latentry import NoMemory
from latentry.guidance import COND, UNCOND, GuidanceMethod, Guide, GuidedQuery


class NormLimited(GuidanceMethod):
    """g = uncond + scale · (cond − uncond), scaled down to ‖g‖ ≤ ``largest`` · ‖cond‖, as long as 1 − t ≤ ``until``.

    t = σ/(α + σ) goes from 1 at pure noise to 0; afterwards the output is cond alone. Z-Image's pipeline in diffusers
    calls ``largest`` ``cfg_normalization`` and ``until`` ``cfg_truncation``, and counts its ``guidance_scale`` from 0
    where the scale here is counted from 1.
    """

    largest: float = Field(default=1.0, ge=1.0, description="norm of the result at most, in norms of cond")
    until: float = Field(default=1.0, ge=0.0, le=1.0, description="share of the way to the picture that is guided")

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """Norms are of the network's output, of each picture by itself."""
        point = query.point
        if 1.0 - point.sigma / (point.alpha + point.sigma) > self.until:
            (only,) = yield (COND,)
            return only.output, memory
        uncond, cond = yield UNCOND, COND
        guided = torch.lerp(uncond.output, cond.output, query.scale)
        sides = tuple(range(1, guided.ndim))
        most, norm = (torch.linalg.vector_norm(each, dim=sides, keepdim=True) for each in (cond.output, guided))
        return torch.where(norm > self.largest * most, guided * (self.largest * most / norm), guided), memory
