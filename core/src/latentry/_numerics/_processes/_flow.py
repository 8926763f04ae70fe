"""The rectified-flow process: SD3 and FLUX."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process, lam_of, s_of
from latentry._specs import ProcessKind


@dataclass(frozen=True)
class Flow(Process):
    """α = 1 − t and σ = t for t in 0..1 (Liu et al. 2022, arXiv:2209.03003; Esser et al. 2024, arXiv:2403.03206).

    Attributes:
        multiplier: the network's timestep is ``multiplier`` · t.
    """

    multiplier: float = 1000.0
    kind: ClassVar[ProcessKind] = "flow"

    @property
    def noisiest(self) -> Point:
        """t = 1: pure noise."""
        return self.at_timestep(self.multiplier)

    @property
    def cleanest(self) -> Point:
        """t = 0: flow models are trained down to σ = 0."""
        return self.at_timestep(0.0)

    def at_timestep(self, timestep: float) -> Point:
        """See ``Process``."""
        t = timestep / self.multiplier
        if not 0.0 <= t <= 1.0:
            raise ValueError(f"timestep {timestep} is outside the trained range 0..{self.multiplier:g}")
        return Point(lam_of(t / (1.0 - t)) if t < 1.0 else -math.inf, 1.0 - t, t, float(timestep))

    def at_lam(self, lam: float) -> Point:
        """See ``Process``."""
        sigma, alpha = _logistic(-lam), _logistic(lam)
        return Point(lam, alpha, sigma, self.multiplier * sigma)

    def customary(self, sigma: float) -> Point:
        """See ``Process``: by custom, sigma of a flow model is σ = t itself."""
        return self.at_timestep(self.multiplier * sigma)


def _logistic(lam: float) -> float:
    return 1.0 / (1.0 + s_of(lam))  # 1/(1 + ∞) is 0: both ends are exact
