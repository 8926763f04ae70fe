"""Extended reverse-time SDE solvers."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, Scheduler, Step, remember
from latentry.solvers import Guarded, combine
from latentry_er_sde._phi import Phi


class ERSDE(Guarded, Scheduler):
    """ER-SDE-Solver-1 to 3 (Cui et al. 2023, arXiv:2309.06169, eqs. 13 to 15), data prediction.

    One evaluation a step. With x̄ = x/α, s = σ/α and q = φ(s_end)/φ(s_start) it is
    x̄_end = q·x̄ + φ(s_end)·∫ φ′/φ²·x̂₀ ds + √(s_end² − q²·s_start²)·z, x̂₀ a polynomial in s through the newest
    evaluations. Weak order min(``order``, 2); order ``order`` for the ODE, φ = s.
    """

    Memory: ClassVar[type] = History

    order: int = Field(default=3, ge=1, le=3, description="evaluations that a step looks back on, itself included")
    phi: Literal["er-sde", "power"] = Field(
        default="er-sde", description="φ: the paper's s·(e^(s^0.3) + 10), or s^(1 + η)"
    )
    eta: float = Field(
        default=1.0, ge=0.0, le=5.0, description="η of φ = s^(1 + η): 0 is the ODE, 1 DDPM; unused with phi=er-sde"
    )
    noise_scale: float = Field(default=1.0, ge=0.0, le=100.0, description="S_noise: multiplies the fresh noise")

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """The noise that x keeps, x̂₀ integrated against φ, and fresh noise."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", self.order)
        if end.sigma == 0.0 or end.s >= start.s:
            return denoised.at(end), History(nodes)
        phi = Phi(self.eta if self.phi == "power" else None)
        kept = phi.kept(start, end)
        order = interval.order(self.order, nodes, lower_final=False)
        below = end._replace(lam=-math.log(kept) if kept > 0.0 else math.inf, sigma=end.alpha * kept)
        if order == 1:
            y = denoised.at(below)
        else:
            weights = phi.weights([node.point.s for node in nodes[:order]], start.s, end.s)
            data = ((end.alpha * w, node.value) for w, node in zip(weights, nodes, strict=False))
            full = combine((end.alpha * kept / start.sigma, x), *data)
            y = self.drawn_back(full, denoised, below)
        fresh = end.alpha * math.sqrt(max(0.0, (end.s - kept) * (end.s + kept)))
        if fresh == 0.0:
            return y, History(nodes)
        z = noise(phi.clock(start), phi.clock(end))
        return combine((1.0, y), (self.noise_scale * fresh, z)), History(nodes)
