"""CFG-Zero*: classifier-free guidance for flow models, optimised in scale and idle at first."""

from __future__ import annotations

import torch
from pydantic import Field

from latentry import NoMemory
from latentry.guidance import COND, UNCOND, GuidanceMethod, Guide, GuidedQuery
from latentry_guidance._vectors import coefficient


class CFGZeroStar(GuidanceMethod):
    """v = s*·v_u + w·(v_c − s*·v_u), s* = v_c·v_u / ‖v_u‖² (Fan et al. 2025, arXiv:2503.18886, algorithm 1).

    v = ε − x₀ is a flow's velocity, whatever the network predicts. s* brings v_u as near to v_c as a scale can. In the
    first steps v is 0, so that a flow's sample does not change.
    """

    zero_steps: int = Field(default=1, ge=0, description="steps at the start whose velocity is set to 0")

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """In v."""
        if query.index < self.zero_steps:
            return query.from_v(torch.zeros_like(query.x)), memory
        if query.scale == 1.0:
            (cond,) = yield (COND,)
            return cond.output, memory
        uncond, cond = yield UNCOND, COND
        base = coefficient(cond.v, uncond.v) * uncond.v
        return query.from_v(torch.lerp(base, cond.v, query.scale)), memory
