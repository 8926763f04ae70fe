"""Ancestral sampling: a step goes deterministically to a level below its end and adds fresh noise up to it."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, Field
from torch import Tensor

from latentry._numerics._interval import Interval
from latentry._numerics._linear import combine
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import lam_of
from latentry._numerics._running._noise import Noise

EtaRule = Literal["ancestral", "sde", "flow"]
"""What η means; see ``ancestral``."""


def ancestral(
    start: Point, end: Point, eta: float, rule: EtaRule = "ancestral", longest: float = math.inf
) -> tuple[Point, float]:
    """Where the deterministic part of a step ends, and σ of the fresh noise that brings it up to ``end``.

    The first is a level in the scale of ``end``: its α is the end's, so what arrives there is not rescaled before the
    noise is added. With s = σ/α and r = s_end/s_start, the fresh noise is

    * ``ancestral``: σ_end·min(1, η·√(1 − r²)), DDIM's η (Song et al. 2020, arXiv:2010.02502, eq. 16);
    * ``sde``: σ_end·√(1 − r^(2η)), the exact step of the reverse SDE whose g² is multiplied by η (η = τ² of
      SA-Solver, arXiv:2309.05019);
    * ``flow``: what is missing after Euler's step to t_down = t_end·(1 + (t_end/t_start − 1)·η), t = s/(1 + s) being a
      rectified flow's time (ComfyUI and diffusers on such models). At η = 1 it is less than the others', which agree
      there as they do at 0;

    and the square of what is kept is σ_end² less its square. In the process's own σ this holds on variance-preserving,
    flow and EDM models alike. No fresh noise where the end is σ = 0, or no cleaner than the start.

    Args:
        start: where the step begins.
        end: where it ends.
        eta: stochasticity; 0 is deterministic, 1 the posterior of DDPM.
        rule: what η means between.
        longest: how far in λ the deterministic part may go; where it would go further, there is less fresh noise.
    """
    if eta == 0.0 or end.sigma == 0.0 or end.s >= start.s:
        return end, 0.0
    r = end.s / start.s  # 0 at pure noise
    # what is kept first: as 1 less the fresh noise it would be lost where r is small
    match rule:
        case "ancestral":
            kept = math.sqrt(max(0.0, (1.0 - eta) * (1.0 + eta) + (eta * r) ** 2))
        case "sde":
            kept = r**eta
        case "flow":
            kept = _kept_in_t(start.s, end.s, eta)
    if r > 0.0:
        kept = max(kept, min(1.0, math.exp(-longest) / r))
    fresh = math.sqrt((1.0 - kept) * (1.0 + kept))
    below = end._replace(lam=lam_of(kept * end.s), sigma=kept * end.sigma)
    return below, end.sigma * fresh


def _kept_in_t(start: float, end: float, eta: float) -> float:
    """s_down/s_end of the rule in t; all of it is new where t_down would lie below 0."""
    t, begun = end / (1.0 + end), 1.0 if start == math.inf else start / (1.0 + start)
    share = max(0.0, 1.0 + (t / begun - 1.0) * eta)
    return share * (1.0 - t) / (1.0 - share * t)


class Ancestral(BaseModel):
    """The options of ancestral sampling. A scheduler inherits from this class and from ``Scheduler``."""

    eta: float = Field(
        default=1.0, ge=0.0, le=5.0, description="stochasticity: 0 is deterministic, 1 is DDPM's posterior"
    )
    eta_rule: EtaRule = Field(
        default="ancestral",
        description="what η means: ancestral as in DDIM and k-diffusion, sde as in DPM++ SDE, flow in t",
    )
    noise_scale: float = Field(
        default=1.0, ge=0.0, le=100.0, description="S_noise: multiplies the fresh noise; 1 keeps the variance right"
    )

    def lowered(self, interval: Interval, longest: float = math.inf) -> tuple[Point, float]:
        """Where the deterministic part ends, at most ``longest`` in λ, and σ of the fresh noise."""
        return ancestral(interval.start, interval.end, self.eta, self.eta_rule, longest)

    def renoised(self, x: Tensor, fresh: float, interval: Interval, noise: Noise) -> Tensor:
        """x with the fresh noise added."""
        if fresh == 0.0:
            return x
        z = noise(self.clock(interval.start), self.clock(interval.end))
        return combine((1.0, x), (self.noise_scale * fresh, z))

    def clock(self, point: Point) -> float:
        """The time of the path whose increments the fresh noise is: e^(2τ²λ) with τ² = η², or η where short steps are
        those of the reverse SDE with g² times η (``sde``, ``flow``); 0 at pure noise.
        """
        return math.exp(2.0 * (self.eta**2 if self.eta_rule == "ancestral" else self.eta) * point.lam)
