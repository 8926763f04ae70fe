"""Rules that space log σ: exponential and polyexponential."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pydantic import Field

from latentry._numerics._grids._ranged import Ranged


class Exponential(Ranged):
    """Even in λ = −log s: the uniform-λ grid of DPM-Solver (Lu et al. 2022, arXiv:2206.00927, section 3.3)."""

    def between(self, high: float, low: float, steps: int) -> Iterable[float]:
        """See ``Ranged``."""
        return _powers(high, low, steps, 1.0)


class Polyexponential(Ranged):
    """A polynomial in log s: log s = log s_min + (1 − i/(N − 1))^ρ·(log s_max − log s_min) (k-diffusion)."""

    rho: float = Field(
        default=1.0, gt=0.0, allow_inf_nan=False, description="ρ: 1 is exponential, more steps near σ = 0 above"
    )

    def between(self, high: float, low: float, steps: int) -> Iterable[float]:
        """See ``Ranged``."""
        return _powers(high, low, steps, self.rho)


def _powers(high: float, low: float, steps: int, rho: float) -> Iterable[float]:
    ramp = ((1.0 - i / (steps - 1)) ** rho for i in range(steps))
    return (math.exp(math.log(low) + r * (math.log(high) - math.log(low))) for r in ramp)
