"""Ancestral Euler with CFG++."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import Ancestral
from latentry_cfgpp._unguided import unguided


class EulerAncestralCFGpp(Ancestral, Scheduler):
    """Ancestral Euler with CFG++ (Chung et al. 2024, arXiv:2406.08070, appendix): to a level below the end with the
    unguided noise, then fresh noise up to it.

    Weak order 1 where both outputs agree, one evaluation a step.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"uncond"})

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Denoises with guidance, and adds partly the unguided noise, partly fresh noise."""
        denoised = yield interval.start.query(x)
        below, deviation = self.lowered(interval)
        end = denoised.at(below) if below.sigma == 0.0 else below.mix(denoised.x0, unguided(denoised).eps)
        return self.renoised(end, deviation, interval, noise), memory
