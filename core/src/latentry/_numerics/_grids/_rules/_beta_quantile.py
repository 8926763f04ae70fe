"""Quantiles of the beta distribution; written here so that the core needs no scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TINY = 1e-300


def beta_quantile(parts: Sequence[float], a: float, b: float) -> list[float]:
    """x with I_x(a, b) = p for each p in 0..1, to about 12 digits.

    Bisects the logit of x, which keeps the digits near both ends.
    """
    p = np.asarray(parts, dtype=np.float64)
    low, high = np.full(p.shape, -700.0), np.full(p.shape, 700.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = _distribution(middle, a, b) < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    x = np.exp(-np.logaddexp(0.0, -(low + high) / 2))
    return [float(v) for v in np.where(p <= 0.0, 0.0, np.where(p >= 1.0, 1.0, x))]


def _distribution(logit: Array, a: float, b: float) -> Array:
    """I_x(a, b) at x = 1/(1 + e^−logit); from the nearer end, where the fraction converges fast."""
    x = np.exp(-np.logaddexp(0.0, -logit))
    log_x, log_rest = -np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit)
    log_scale = a * log_x + b * log_rest + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    scale = np.exp(log_scale)
    near = x < (a + 1.0) / (a + b + 2.0)
    lower = scale / a * _fraction(np.where(near, x, 0.0), a, b)
    upper = scale / b * _fraction(np.where(near, 0.0, np.exp(log_rest)), b, a)
    return np.where(near, lower, 1.0 - upper)


def _fraction(x: Array, a: float, b: float) -> Array:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    c: Array = np.ones_like(x)
    d: Array = 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    total = d
    for m in range(1, 400):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = total
        for term in (even, odd):
            d = 1.0 / _away(1.0 + term * d)
            c = _away(1.0 + term / c)
            total = total * d * c
        if np.all(np.abs(total - before) <= 1e-15 * np.abs(total)):
            break
    return total


def _away(values: Array) -> Array:
    """Zeros made tiny, so that they can be divided by."""
    return np.where(np.abs(values) < TINY, TINY, values)
