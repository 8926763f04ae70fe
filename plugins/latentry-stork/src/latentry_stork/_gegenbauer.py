"""The Runge-Kutta-Gegenbauer method of second order, on slopes that are given functions of time."""

from __future__ import annotations

from functools import cache


@cache
def gegenbauer_moments(stages: int, count: int) -> tuple[float, ...]:
    """What the method makes of ∫ u^k du over a step of length 1, for k < count; 1/(k + 1) would be exact.

    Y_j = μ_j·Y_{j−1} + ν_j·Y_{j−2} + μ̃_j·f(c_{j−1}) + γ̃_j·f(0), from Y_0 = 0 (O'Sullivan 2019, "Runge-Kutta-Gegenbauer
    explicit methods for advection-diffusion problems"; Skaras et al. 2021). It is of order 2: the first two moments are
    exact. The third tends to 1/4. The times c_j are those that the recursion has for f = 1.

    Args:
        stages: of the method, at least 3.
        count: how many moments.
    """
    first = 6.0 / ((stages + 4) * (stages - 1))
    before, now = [0.0] * count, [first] + [0.0] * (count - 1)
    time_before, time = 0.0, first
    for j in range(2, stages + 1):
        mu = (2 * j + 1) / j * _b(j) / _b(j - 1)
        nu = -(j + 1) / j * _b(j) / _b(j - 2)
        slope = mu * first
        constant = -slope * (1.0 - j * (j + 1) / 2 * _b(j - 1))
        powers = [time**k for k in range(count)]
        after = [mu * y + nu * y_before + slope * p for y, y_before, p in zip(now, before, powers, strict=True)]
        after[0] += constant
        before, now = now, after
        time_before, time = time, mu * time + nu * time_before + slope + constant
    return tuple(now)


def _b(j: int) -> float:
    """The factor that makes the Gegenbauer polynomial of degree j a stability polynomial of second order."""
    return (1.0, 1.0 / 3.0)[j] if j < 2 else 4.0 * (j - 1) * (j + 4) / (3.0 * j * (j + 1) * (j + 2) * (j + 3))
