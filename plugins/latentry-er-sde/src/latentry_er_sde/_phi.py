"""The function φ that decides how much noise a step replaces, and the integrals over it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentry import Point

QUADRATURE = 24
"""Nodes of the Gauss-Legendre rule; the integrand is smooth in log s."""


@dataclass(frozen=True)
class Phi:
    """φ(s) of s = σ/α, through ψ(s) = log(φ(s)/s): 0 throughout for the ODE.

    Attributes:
        power: η of φ = s^(1 + η); None for the paper's φ = s·(e^(s^0.3) + 10) (arXiv:2309.06169, section 4.3).
    """

    power: float | None = None

    def psi(self, s: float) -> float:
        """log(φ(s)/s); ∞ at pure noise, unless φ is s."""
        if self.power is not None:
            return self.power * math.log(s) if self.power > 0.0 else 0.0
        grown = math.pow(s, 0.3)
        return grown + math.log1p(10.0 * math.exp(-grown))

    def elasticity(self, s: float) -> float:
        """d log φ / d log s."""
        if self.power is not None:
            return 1.0 + self.power
        grown = math.pow(s, 0.3)
        return 1.0 + 0.3 * grown / (1.0 + 10.0 * math.exp(-grown))

    def kept(self, start: Point, end: Point) -> float:
        """How much of s_end is noise that x had already: s_start·φ(s_end)/φ(s_start)."""
        return end.s * math.exp(self.psi(end.s) - self.psi(start.s))

    def clock(self, point: Point) -> float:
        """(s/φ)²: the variance of the SDE's noise in x̄/φ up to this level."""
        return math.exp(-2.0 * self.psi(point.s))

    def weights(self, nodes: Sequence[float], start: float, end: float) -> tuple[float, ...]:
        """φ(s_end)·∫ φ′/φ²·L_j ds over [s_end, s_start], L_j being Lagrange's polynomials in s on the nodes.

        They sum to 1 − φ(s_end)/φ(s_start); the first takes up the quadrature's rounding.
        """
        span = math.log(start / end)
        places, measures = np.polynomial.legendre.leggauss(QUADRATURE)
        total = -math.expm1(self.psi(end) - self.psi(start) - span)
        later = [0.0] * (len(nodes) - 1)
        for place, measure in zip(places.tolist(), measures.tolist(), strict=True):
            s = end * math.exp(0.5 * (1.0 + place) * span)
            fade = math.exp(self.psi(end) - self.psi(s)) * end / s
            density = 0.5 * span * measure * fade * self.elasticity(s)
            for j in range(1, len(nodes)):
                later[j - 1] += density * _lagrange(nodes, j, s)
        return (total - math.fsum(later), *later)


def _lagrange(nodes: Sequence[float], j: int, at: float) -> float:
    """1 at node j, 0 at the others."""
    return math.prod((at - node) / (nodes[j] - node) for i, node in enumerate(nodes) if i != j)
