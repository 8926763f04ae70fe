"""One noise level, and one question to the network at it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from latentry._numerics._linear import combine


class Point(NamedTuple):
    """A noise level of a process, as float64 host values; made by ``Process.at`` alone.

    Attributes:
        lam: λ = log(α/σ); −∞ at pure noise, +∞ at σ = 0.
        alpha: signal coefficient α in x = α·x₀ + σ·ε.
        sigma: noise coefficient σ.
        timestep: the value that the network is given as its timestep.
        scale: what the network's input is multiplied by (EDM's c_in; 1 elsewhere).
    """

    lam: float
    alpha: float
    sigma: float
    timestep: float
    scale: float = 1.0

    @property
    def s(self) -> float:
        """σ/α, the noise level of k-diffusion and of EDM; ∞ at pure noise."""
        return self.sigma / self.alpha if self.alpha > 0 else math.inf

    def mix(self, x0: Tensor, eps: Tensor) -> Tensor:
        """α·x₀ + σ·ε: a sample of this level."""
        return combine((self.alpha, x0), (self.sigma, eps))

    def query(self, x: Tensor, timestep: float | None = None) -> Query:
        """Asks for an evaluation of the network at ``x``, which has this level; ``timestep`` overrides the clock."""
        return Query(x, self, self.timestep if timestep is None else timestep)


@dataclass(frozen=True, slots=True)
class Query:
    """One evaluation that a step asks for.

    Attributes:
        x: the process's own x, of the level ``point``.
        point: the noise level of ``x``.
        timestep: the value that the network is given as its timestep.
        index: the interval it belongs to, from 0; set by the run.
        stage: which evaluation within the interval, from 0; set by the run.
    """

    x: Tensor
    point: Point
    timestep: float
    index: int = 0
    stage: int = 0

    @property
    def input(self) -> Tensor:
        """What the network is shown: x times the level's input scale."""
        return self.x if self.point.scale == 1.0 else self.x * self.point.scale
