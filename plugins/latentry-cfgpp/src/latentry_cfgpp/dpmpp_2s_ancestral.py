"""DPM-Solver++(2S) with ancestral noise and CFG++."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import Ancestral, combine
from latentry_cfgpp._unguided import unguided


class DPMpp2SAncestralCFGpp(Ancestral, Scheduler):
    """DPM-Solver++(2S) with ancestral noise and CFG++ (Chung et al. 2024, arXiv:2406.08070, appendix): the first stage
    is unguided, and the step takes the guided x̂₀ of the second with the noise that its unguided x̂₀ leaves.

    Weak order 2 where both outputs agree, two evaluations a step, one where it leaves α = 0 or reaches σ = 0.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"uncond"})

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Goes half of the way down in λ without guidance, then the whole way with that evaluation; then adds noise."""
        start = interval.start
        denoised = yield start.query(x)
        below, deviation = self.lowered(interval)
        if below.sigma == 0.0:
            end = denoised.at(below)
        elif interval.singular:
            end = below.mix(denoised.x0, unguided(denoised).eps)
        else:
            middle = interval.at(lam=(start.lam + below.lam) / 2)
            between = yield middle.query(unguided(denoised).at(middle))
            # x̄_end = x̂₀ + e^(−h)·(x̄ − x̂₀ without guidance)
            ratio, faded = below.sigma / start.sigma, below.alpha * math.exp(start.lam - below.lam)
            end = combine((below.alpha, between.x0), (-faded, unguided(between).x0), (ratio, x))
        return self.renoised(end, deviation, interval, noise), memory
