"""PNDM: the conformance suite, its start, and its order on even steps."""

from __future__ import annotations

import math

import pytest
import torch

from latentry import EDM, Plan, Prediction, VariancePreserving
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry_pndm import PNDM

SD = VariancePreserving.from_betas()
DATA = GaussianOracle(0.3, 0.4)
X = torch.tensor([[1.7, -2.1, 0.2]], dtype=torch.float64)


class TestPNDM(SchedulerSuite):
    scheduler = "pndm"


def plan(scheduler: PNDM, levels: tuple[float, ...]) -> Plan:
    """On s = σ/α."""
    return Plan(scheduler, EDM(), Prediction.EDM, tuple(EDM().at(s=s) for s in levels))


def even(steps: int, high: float = 3.0, low: float = 1.0) -> tuple[float, ...]:
    """Even in s."""
    return tuple(high + (low - high) * i / steps for i in range(steps + 1))


def test_the_first_steps_take_more_evaluations() -> None:
    assert plan(PNDM(), even(6)).evaluations_by_step == (2, 1, 1, 1, 1, 1)
    assert plan(PNDM(skip_prk=False), even(6)).evaluations_by_step == (4, 4, 4, 1, 1, 1)


@pytest.mark.parametrize(("skip_prk", "order"), [(True, 3), (False, 4)])
def test_on_even_steps_in_s_it_is_of_the_order_its_start_admits(skip_prk: bool, order: int) -> None:
    """One step of improved Euler has an error of the size h³, three of Runge-Kutta of h⁵."""

    def error(steps: int) -> float:
        made = plan(PNDM(skip_prk=skip_prk), even(steps))
        return float((drive(made, X, DATA.answer) - DATA.path(X, made.points[0], made.points[-1])).norm())

    slope = math.log2(error(80) / error(160))
    assert slope > order - 0.25


def test_prk_is_runge_kuttas_method_on_s() -> None:
    slope = lambda x, s: (x - 0.3) * s / (0.4 + s * s)  # noqa: E731 - ε of N(0.3, 0.4)
    a, m, b, h = 3.0, 2.75, 2.5, -0.5
    k1 = slope(X, a)
    k2 = slope(X + h / 2 * k1, m)
    k3 = slope(X + h / 2 * k2, m)
    k4 = slope(X + h * k3, b)
    found = drive(plan(PNDM(guard=False, skip_prk=False), (a, b)), X, DATA.answer)
    assert torch.allclose(found, X + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), rtol=1e-12)


def test_improved_euler_takes_the_mean_of_both_ends() -> None:
    slope = lambda x, s: (x - 0.3) * s / (0.4 + s * s)  # noqa: E731 - ε of N(0.3, 0.4)
    first = slope(X, 3.0)
    expected = X - 0.25 * (first + slope(X - 0.5 * first, 2.5))
    assert torch.allclose(drive(plan(PNDM(guard=False), (3.0, 2.5)), X, DATA.answer), expected, rtol=1e-12)


def test_the_papers_middle_is_of_the_timestep() -> None:
    points = (SD.at(timestep=800), SD.at(timestep=700))
    made = Plan(PNDM(skip_prk=False, middle="timestep"), SD, Prediction.V, points)
    assert [query.timestep for query in made.queries or ()] == pytest.approx([800, 750, 750, 700])
    made = Plan(PNDM(skip_prk=False), SD, Prediction.V, points)
    assert (made.queries or ())[1].point.s == pytest.approx((points[0].s + points[1].s) / 2)


def test_over_longer_steps_plms_is_of_a_lower_order() -> None:
    assert shares(PNDM(guard=False), 4.5) == pytest.approx([55 / 24, -59 / 24, 37 / 24, -9 / 24])  # 1/4 of s
    assert shares(PNDM(guard=False), 3.0) == pytest.approx([23 / 12, -16 / 12, 5 / 12, 0.0])
    assert shares(PNDM(guard=False), 1.0) == pytest.approx([1.5, -0.5, 0.0, 0.0])
    assert shares(PNDM(guard=False, stable=False), 1.0) == pytest.approx([55 / 24, -59 / 24, 37 / 24, -9 / 24])


def shares(scheduler: PNDM, last: float) -> list[float]:
    """How much of each ε, newest first, is in the last step to ``last``; of the first step's two the first is kept."""
    points = tuple(EDM().at(s=s) for s in (9.0, 8.0, 7.0, 6.0, last))
    whole = Plan(scheduler, EDM(), Prediction.EPSILON, points)

    def moved(made: Plan, evaluation: int) -> float:
        run, count = made.start(torch.zeros_like(X)), 0
        while (query := run.query) is not None:
            run.advance(torch.full_like(query.x, float(count == evaluation)))
            count += 1
        return float(run.sample[0, 0])

    return [(moved(whole, i) - moved(whole[:-1], i)) / (last - 6.0) for i in (4, 3, 2, 0)]
