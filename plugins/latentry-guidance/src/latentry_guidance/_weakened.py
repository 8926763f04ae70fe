"""Guidance away from the output of a weakened network, on top of classifier-free guidance."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from latentry import Denoised
from latentry.guidance import COND, UNCOND, Branch, GuidedQuery


def away_from(
    weakened: Branch, query: GuidedQuery, strength: float
) -> Generator[tuple[Branch, ...], tuple[Denoised, ...], Tensor]:
    """uncond + w·(cond − uncond) + strength·(cond − weakened); at w = 1 uncond is not evaluated."""
    if query.scale == 1.0:
        cond, weak = yield COND, weakened
        output = cond.output
    else:
        uncond, cond, weak = yield UNCOND, COND, weakened
        output = torch.lerp(uncond.output, cond.output, query.scale)
    return torch.add(output, cond.output - weak.output, alpha=strength)
