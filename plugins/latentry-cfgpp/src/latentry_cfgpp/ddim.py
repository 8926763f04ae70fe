"""DDIM with CFG++."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry_cfgpp._unguided import unguided


class DDIMCFGpp(Scheduler):
    """DDIM with CFG++ (Chung et al. 2024, arXiv:2406.08070, algorithm 2): x_end = α·x̂₀ + σ·ε̂, x̂₀ of the guided and ε̂ of
    the unguided output.

    Order 1 where both outputs agree, one evaluation a step.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"uncond"})

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Denoises with guidance, and adds the unguided noise back."""
        denoised = yield interval.start.query(x)
        if interval.end.sigma == 0.0:
            return denoised.at(interval.end), memory
        return interval.end.mix(denoised.x0, unguided(denoised).eps), memory
