"""The sigma schedule of EDM (Karras et al.)."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from latentry._numerics._grids._ranged import Ranged


class Karras(Ranged):
    """Even in s^(1/ρ) (Karras et al. 2022, arXiv:2206.00364, eq. 5)."""

    rho: float = Field(default=7.0, gt=0.0, allow_inf_nan=False, description="ρ: the higher, the more steps near σ = 0")

    def between(self, high: float, low: float, steps: int) -> Iterable[float]:
        """See ``Ranged``."""
        top, bottom = high ** (1.0 / self.rho), low ** (1.0 / self.rho)
        return ((top + i / (steps - 1) * (bottom - top)) ** self.rho for i in range(steps))
