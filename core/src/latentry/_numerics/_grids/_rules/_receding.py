"""A grid whose end recedes with the number of steps."""

from __future__ import annotations

import math

from pydantic import Field

from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process, lam_of


class Receding(SigmaSchedule):
    """N levels down to s = ``end``/N, from where the last step goes to σ = 0: the more steps, the closer to it.

    Few steps are even in t = s/(1 + s), a rectified flow's time, which keeps the first of them short enough for strong
    guidance; more are even in λ = −log s, or by ρ in a power of it. A time shift multiplies the levels, the end too.

    On a process that begins with pure noise the first level is pure noise, and the second is s = ``top``, or
    s = ``rise``·N where that is more: the more steps, the closer to pure noise, too.
    """

    end: float = Field(
        default=0.4, gt=0.0, allow_inf_nan=False, description="s of the last step's start, times the number of steps"
    )
    rho: float = Field(
        default=1.0, gt=0.0, allow_inf_nan=False, description="ρ: 1 is even in log s, more steps near σ = 0 above"
    )
    top: float = Field(
        default=15.0, gt=0.0, allow_inf_nan=False, description="s of the second level, where the first is pure noise"
    )
    rise: float = Field(
        default=0.0, ge=0.0, allow_inf_nan=False, description="s of the second level for each step, if that is more"
    )
    few: int = Field(default=6, ge=0, description="up to so many steps are even in t")

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        first = process.noisiest
        if steps == 1:
            return (first,)
        if steps <= self.few:
            whole = 1.0 / (1.0 + math.exp(first.lam)) if first.alpha > 0.0 else 1.0
            times = (whole * (1.0 - i / steps) for i in range(1, steps))
            return (first, *(process.at(s=t / (1.0 - t)) for t in times))
        from_noise = first.alpha == 0.0
        high = lam_of(max(self.top, self.rise * steps)) if from_noise else first.lam
        low = lam_of(max(self.end / steps, process.cleanest.s))
        pieces = steps - 2 if from_noise else steps - 1
        inner = (1.0 - (1.0 - i / pieces) ** self.rho for i in range(0 if from_noise else 1, pieces))
        lams = (*(high + u * (low - high) for u in inner), low)
        return (first, *(process.at(lam=lam) for lam in lams))
