"""Quadrature weights of tAB."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from latentry import Interval, Point

PLACES, PARTS = np.polynomial.legendre.leggauss(32)


def time_weights(nodes: Sequence[Point], interval: Interval) -> tuple[float, ...]:
    """w_j = ∫ L_j(t(ρ)) dρ over the step, L_j being Lagrange's polynomials in the network's timestep t, ρ = σ/α.

    By Gauss-Legendre quadrature in λ, as in the authors' own code: no process has a closed form for it.
    """
    start, end = interval.start.lam, interval.end.lam
    lams = start + (end - start) * (PLACES + 1.0) / 2.0
    times = np.array([interval.at(lam=lam).timestep for lam in lams.tolist()])
    # dρ = −ρ dλ
    pieces = -np.exp(-lams) * PARTS * (end - start) / 2.0
    at = [node.timestep for node in nodes]
    return tuple(math.fsum(pieces * _lagrange(times, at, j)) for j in range(len(at)))


def _lagrange(times: np.ndarray, nodes: Sequence[float], j: int) -> np.ndarray:
    """L_j at these times: 1 at node j, 0 at the others."""
    value = np.ones_like(times)
    for k, node in enumerate(nodes):
        if k != j:
            value = value * (times - node) / (nodes[j] - node)
    return value
