"""Steps that are exact on N(0, 1), and how far down ancestral ones go."""

from __future__ import annotations

import math
from itertools import product

import pytest
from support.oracles import SD

from latentry import EDM, Flow, Point, Process
from latentry._numerics._solvers._fitted import SHORT, NormalData
from latentry._numerics._solvers._stages import shares_of_path
from latentry.solvers import ancestral, exponential_weights, fitted_weights, midpoint_weights

PROCESSES = (SD, EDM(), Flow())
STEPS = ((-2.0, 0.5), (-0.5, 0.1), (0.0, 2.5), (1.0, 3.0), (0.4, -0.6))


def levels(process: Process, start: float, end: float, r: float) -> tuple[Point, Point, Point]:
    a, b = process.at(lam=start), process.at(lam=end)
    return a, process.at(lam=start + r * (end - start)), b


@pytest.mark.parametrize("r", [0.5, 0.3, 1.0])
def test_without_noise_the_weight_is_that_of_a_rotation(r: float) -> None:
    """On VP data of N(0, 1) does not move, with s = tan θ: a first-order step turns it by θ_start − θ_end, which
    leaves its cosine, and (1 − cos(θ_start − θ_end))/(cos θ_end·sin θ_u·sin(θ_start − θ_u)) puts the rest back.
    """
    for process, (start, end) in product(PROCESSES, STEPS):
        a, u, b = (math.atan(math.exp(-lam)) for lam in (start, start + r * (end - start), end))
        expected = (1.0 - math.cos(a - b)) / (math.cos(b) * math.sin(u) * math.sin(a - u))
        points = levels(process, start, end, r)
        own = midpoint_weights(points[1].lam, start, end)
        found = fitted_weights(*points, own)
        assert found[1] == pytest.approx(expected, rel=1e-11)
        assert sum(found) == pytest.approx(sum(own), rel=1e-12)


def test_it_goes_to_that_of_the_quadrature_as_steps_get_shorter() -> None:
    """At the rate of the step's length, and so that what is added is off by its third power: order 2 is kept."""

    def off(h: float) -> float:
        points = levels(SD, -0.3, -0.3 + h, 0.5)
        own = exponential_weights((points[0].lam, points[1].lam), points[0].lam, points[2].lam)
        return fitted_weights(*points, own)[1] / own[1] - 1.0

    assert off(0.1) != 0.0
    assert off(0.1) / off(0.05) == pytest.approx(2.0, rel=0.05)
    assert off(0.02) / off(0.01) == pytest.approx(2.0, rel=0.05)
    assert off(SHORT * 0.99) == pytest.approx(0.0, abs=1e-15)


def test_where_no_weight_is_right_it_is_the_quadratures() -> None:
    """Noise of which there is more than the level has."""
    a, u, b = levels(EDM(), -1.0, 0.5, 0.5)
    data = NormalData(a, [[1.0, 0.0], [0.6, 0.8]])
    data.next_weights((1.0,), u, u, 0.0)
    assert data.next_weights((0.3, 0.4), b, b, 40.0)[1] == pytest.approx(0.4)


def test_shares_of_a_path_are_those_of_a_brownian_motion() -> None:
    """The covariance of W(t)/√(t − t₀) and W(t′)/√(t′ − t₀) is √((t − t₀)/(t′ − t₀)) for t ≤ t′."""
    begin, *times = 0.5, 0.7, 0.7, 1.9, 4.0
    shares = shares_of_path((begin, *times))
    for (t, one), (u, other) in product(zip(times, shares, strict=True), repeat=2):
        covariance = sum(x * y for x, y in zip(one, other, strict=True))
        assert covariance == pytest.approx(math.sqrt((min(t, u) - begin) / (max(t, u) - begin)))


@pytest.mark.parametrize("rule", ["ancestral", "sde", "flow"])
def test_where_the_way_down_is_limited_there_is_less_fresh_noise(rule: str) -> None:
    for process in PROCESSES:
        start, end = process.at(lam=-1.0), process.at(lam=0.5)
        full, half = ((ancestral(start, end, 1.0, rule, longest)) for longest in (math.inf, 2.0))  # type: ignore[arg-type]
        assert full[0].lam - start.lam > 2.0
        assert half[0].lam - start.lam == pytest.approx(2.0)
        assert 0.0 < half[1] < full[1]
        assert half[0].sigma ** 2 + half[1] ** 2 == pytest.approx(end.sigma**2)
        assert ancestral(start, end, 1.0, rule, 9.0) == full  # type: ignore[arg-type]
        assert ancestral(start, end, 1.0, rule, 1.2)[1] == 0.0  # type: ignore[arg-type]
        assert ancestral(start, end, 1.0, rule, 1.2)[0].lam == pytest.approx(end.lam)  # type: ignore[arg-type]
        if process.kind == "flow":
            noise = process.noisiest
            assert ancestral(noise, end, 1.0, rule, 2.0) == ancestral(noise, end, 1.0, rule)  # type: ignore[arg-type]
