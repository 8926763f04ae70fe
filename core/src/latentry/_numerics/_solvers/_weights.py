"""Quadrature weights of the multistep methods: integrals of the polynomial through past evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

SlopeWeight = Literal["midpoint", "exact"]
"""How methods of two evaluations weight the slope between them; see ``two_point_rule``."""

SERIES_BELOW = 0.5
"""|rate·h| under which the moments' recurrence loses digits and their power series is used."""


def exponential_weights(nodes: Sequence[float], start: float, end: float, rate: float = 1.0) -> tuple[float, ...]:
    """w_j = ∫ rate·e^(−rate·(end − λ))·L_j(λ) dλ over [start, end], L_j being Lagrange's polynomials on the nodes.

    Exact for polynomials in λ of a degree less than the number of nodes; the weights sum to 1 − e^(−rate·h).

    * rate 1: data prediction, x_end = (σ_end/σ_start)·x + α_end·Σ w_j·x₀_j (DPM-Solver++, arXiv:2211.01095, eq. 9);
    * rate 1 + τ²: its SDE of stochasticity τ (SA-Solver, arXiv:2309.05019, eq. 14);
    * rate −1: noise prediction, x_end = (α_end/α_start)·x + σ_end·Σ w_j·ε_j (DPM-Solver, arXiv:2206.00927, eq. 3.4).

    With an evaluation at pure noise, λ = −∞, the polynomials are in e^λ = α/σ, in which both x₀ and ε are smooth there.

    Args:
        nodes: λ of each evaluation, all different; the order of the weights is theirs.
        start: λ where the step begins; −∞ only for a positive rate.
        end: λ where it ends, finite.
        rate: of the exponential; not 0.
    """
    if -math.inf in nodes:
        places = [math.exp(node - end) for node in nodes]
        return _solve(places, _power_moments(math.exp(start - end), rate, len(nodes)))
    h = end - start
    moments = _exponential_moments(rate * h, len(nodes))
    return _solve([(node - start) / h for node in nodes], moments)


def midpoint_weights(
    other: float, start: float, end: float, rate: float = 1.0, size: float | None = None
) -> tuple[float, float]:
    """Weights of the evaluations at ``start`` and at ``other`` that count the slope between them as B(h)/2.

    The cheaper sibling of ``exponential_weights`` on the same two nodes, equal to it as h goes to 0: DPM-Solver++'s
    multistep method (arXiv:2211.01095, algorithm 2), UniPC's predictor of order 2 and corrector of order 1
    (arXiv:2302.04867).

    Args:
        other: λ of the second evaluation; the first is at ``start``.
        start: λ where the step begins.
        end: λ where it ends, finite.
        rate: of the exponential, as for ``exponential_weights``.
        size: B(h); 1 − e^(−rate·h) where left out.
    """
    if other == -math.inf:
        near, far = exponential_weights((start, other), start, end, rate)
        return near, far
    total = -math.expm1(-rate * (end - start))
    slope = (total if size is None else size) / 2 * (end - start) / (other - start)
    return total - slope, slope


def two_point_rule(
    slope: SlopeWeight,
) -> Callable[[Sequence[float], float, float, float], tuple[float, ...]]:
    """The weights of two evaluations, the first of them at the start: ``midpoint_weights`` or ``exponential_weights``,
    both as functions of the nodes' λ, the start, the end and the rate.
    """
    if slope == "exact":
        return exponential_weights
    return lambda lams, start, end, rate: midpoint_weights(lams[1], start, end, rate)


def polynomial_weights(
    nodes: Sequence[float], start: float, end: float, moments: Sequence[float] | None = None
) -> tuple[float, ...]:
    """w_j = ∫ L_j(s) ds over [start, end]: Adams-Bashforth on any grid (Adams and Moulton's formulas made variable).

    Args:
        nodes: where the evaluations lie, all different; the order of the weights is theirs.
        start: where the step begins.
        end: where it ends; may be less than ``start``.
        moments: of another quadrature on the step: what it makes of u^k over [0, 1], one for each node; 1/(k + 1) by
            default.
    """
    h = end - start
    scaled = [h / (k + 1) for k in range(len(nodes))] if moments is None else [h * moment for moment in moments]
    return _solve([(node - start) / h for node in nodes], scaled)


def _exponential_moments(z: float, count: int) -> list[float]:
    """∫ z·e^(−z(1 − u))·u^k du over [0, 1] for k < count."""
    if abs(z) < SERIES_BELOW:
        scale = z * math.exp(-z)
        return [scale * math.fsum(z**m / (math.factorial(m) * (m + k + 1)) for m in range(18)) for k in range(count)]
    moments = [-math.expm1(-z)]
    for k in range(1, count):
        moments.append(1.0 - k / z * moments[-1])
    return moments


def _power_moments(q: float, rate: float, count: int) -> list[float]:
    """∫ rate·v^(rate − 1)·v^k dv over [q, 1] for k < count: the exponential's with v = e^(λ − end)."""
    return [rate * (-math.log(q) if rate + k == 0 else (1.0 - q ** (rate + k)) / (rate + k)) for k in range(count)]


def _solve(places: Sequence[float], moments: Sequence[float]) -> tuple[float, ...]:
    """The weights at these places that have these moments."""
    if len(places) == 1:
        return (moments[0],)
    powers = np.vander(np.asarray(places), increasing=True).T
    return tuple(np.linalg.solve(powers, np.asarray(moments)).tolist())
