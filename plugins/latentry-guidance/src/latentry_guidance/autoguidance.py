"""Autoguidance: away from a weaker version of the same model."""

from __future__ import annotations

import torch

from latentry import NoMemory
from latentry.guidance import COND, Branch, GuidanceMethod, Guide, GuidedQuery


class Autoguidance(GuidanceMethod):
    """D = D_weak + w·(D − D_weak), both with the prompt (Karras et al. 2024, arXiv:2406.02507, eq. 4).

    The weak model is smaller, or was trained for less time; the request names it as ``guidance_model``.
    """

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """Combines the outputs, whatever their prediction type."""
        cond, weak = yield COND, Branch(weak_model=True)
        return torch.lerp(weak.output, cond.output, query.scale), memory
