"""The quadrature rule of the three-step methods, and descriptions of options that several schedulers have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from latentry.solvers import Rule, exponential_weights

Variant = Literal["exact", "halved"]

SOLVER_TEXT = "weight of the slope in λ: (1 − e^−h)/2 as in the paper, or its exact integral (diffusers' heun)"
VARIANT_TEXT = "exact: third order; halved: the second difference counts half, as in the peers' 3M: second order"
FINAL_TEXT = "order 2 in the last step but one, 1 in the last (which always is of order 1 where it reaches σ = 0)"


def three_step(variant: Variant) -> Rule:
    """The rule of 3M: x̂₀ quadratic in λ, linear where there are only two evaluations."""
    return exponential_weights if variant == "exact" else _halved


def _halved(lams: Sequence[float], start: float, end: float, rate: float) -> tuple[float, ...]:
    """In Newton's form x̂₀(λ_start + u·h) = D₀ + D₁·u + D₂·u², and D₂ is half the second derivative. The authors' code
    and those that follow it multiply D₂ with the integral of u²/2.
    """
    weights = exponential_weights(lams, start, end, rate)
    if len(lams) < 3:
        return weights
    a, b, c = u = [(lam - start) / (end - start) for lam in lams]
    square = sum(w * v * v for w, v in zip(weights, u, strict=True))
    difference = (1 / ((a - b) * (a - c)), 1 / ((b - a) * (b - c)), 1 / ((c - a) * (c - b)))
    return tuple(w - square * d / 2 for w, d in zip(weights, difference, strict=True))
