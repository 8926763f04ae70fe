"""Classifier-free guidance, the method that needs no plugin."""

from __future__ import annotations

import torch

from latentry._guidance._evaluate import COND, UNCOND
from latentry._guidance._method import GuidanceMethod, Guide, GuidedQuery
from latentry._numerics._interval import NoMemory


class ClassifierFree(GuidanceMethod):
    """output = uncond + scale · (cond − uncond) (Ho and Salimans 2022, arXiv:2207.12598, eq. 6, scale = 1 + w)."""

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """Both outputs come from one forward pass of twice the batch size."""
        uncond, cond = yield UNCOND, COND
        return torch.lerp(uncond.output, cond.output, query.scale), memory
