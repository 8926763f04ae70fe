"""CFG++ as a guidance scale for each step."""

from __future__ import annotations

import math

import torch

from latentry import NoMemory
from latentry.guidance import COND, UNCOND, GuidanceMethod, Guide, GuidedQuery


class CFGPlusPlus(GuidanceMethod):
    """A DDIM step with x̂₀ = x̂₀ᵘ + λ·(x̂₀ᶜ − x̂₀ᵘ) and the noise ε̂ᵘ (Chung et al. 2024, arXiv:2406.08070, algorithm 2).

    x̂₀ and ε̂ are tied by x = α·x̂₀ + σ·ε̂, so no single output stands for that pair. On DDIM, classifier-free guidance
    with the scale w = λ/(1 − e⁻ʰ), h = log(α/σ) at the step's end minus its value at the start, gives the same step:
    from the pair of output w a step of length h keeps the share 1 − e⁻ʰ of what x̂₀ moved. With other schedulers it is
    that scale and no more; the request's guidance scale is λ.
    """

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """Combines the outputs, whatever their prediction type."""
        uncond, cond = yield UNCOND, COND
        share = -math.expm1(query.start.lam - query.end.lam)
        return torch.lerp(uncond.output, cond.output, query.scale / share), memory
