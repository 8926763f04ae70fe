"""DDIM with CFG++."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step, remember
from latentry.solvers import combine
from latentry_cfgpp._unguided import unguided


class DDIMCFGpp(Scheduler):
    """DDIM with CFG++ (Chung et al. 2024, arXiv:2406.08070, algorithm 2): x_end = α·x̂₀ + σ·ε̂, x̂₀ of the guided and ε̂ of
    the unguided output.

    With γ > 1 the step goes along gradient estimation's slope of the unguided noise (Permenter and Yuan 2023,
    arXiv:2306.04848, section 5), γ·ε̂ + (1 − γ)·ε̂_before. Order 1 where both outputs agree, one evaluation a step.
    """

    Memory = History
    needs: ClassVar[frozenset[str]] = frozenset({"uncond"})

    gamma: float = Field(default=1.0, ge=1.0, le=4.0, description="γ: weight of the newest unguided slope; 1 is DDIM")

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Denoises with guidance, and adds the unguided noise back, or an estimate of it from the last two."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        if end.sigma == 0.0:
            return denoised.at(end), memory
        free = unguided(denoised)
        y = end.mix(denoised.x0, free.eps)
        if self.gamma == 1.0:
            return y, memory
        nodes = remember(memory.nodes, free, "eps", 2)
        if interval.order(2, nodes, lower_final=False) == 2:
            gain = end.alpha * (self.gamma - 1.0) * (end.s - start.s)
            y = combine((1.0, y), (gain, nodes[0].value), (-gain, nodes[1].value))
        return y, History(nodes)
