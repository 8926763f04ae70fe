"""The variance-exploding process in EDM's parametrisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process, s_of
from latentry._specs import ProcessKind


@dataclass(frozen=True)
class EDM(Process):
    """α = 1, with c_in = 1/√(σ² + σ_data²) and c_noise = log(σ)/4 (Karras et al. 2022, arXiv:2206.00364, table 1).

    Attributes:
        sigma_min: the least noisy level of training.
        sigma_max: the noisiest level of training.
        data_std: σ_data.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    data_std: float = 0.5
    kind: ClassVar[ProcessKind] = "edm"

    @property
    def noisiest(self) -> Point:
        """σ_max."""
        return self.at(s=self.sigma_max)

    @property
    def cleanest(self) -> Point:
        """σ_min."""
        return self.at(s=self.sigma_min)

    def at_timestep(self, timestep: float) -> Point:
        """See ``Process``; the timestep is c_noise."""
        low, high = math.log(self.sigma_min) / 4, math.log(self.sigma_max) / 4
        if not low - 1e-9 <= timestep <= high + 1e-9:
            raise ValueError(f"timestep {timestep} is outside the trained range {low:.4f}..{high:.4f}")
        return self.at_lam(-4.0 * timestep)

    def at_lam(self, lam: float) -> Point:
        """See ``Process``."""
        if lam == -math.inf:
            raise ValueError("an EDM process never reaches pure noise: σ is finite")
        sigma = s_of(lam)
        c_noise = math.log(min(max(sigma, self.sigma_min), self.sigma_max)) / 4
        return Point(lam, 1.0, sigma, c_noise, 1.0 / math.hypot(sigma, self.data_std))
