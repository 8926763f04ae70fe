"""LMS: the conformance suite, and its weights."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from latentry import EDM, Plan, Prediction, Query
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry_lms import LMS

X = torch.zeros(1, 1, dtype=torch.float64)


class TestLMS(SchedulerSuite):
    scheduler = "lms"


def plan(scheduler: LMS, levels: tuple[float, ...]) -> Plan:
    """With ε as the network's own output."""
    return Plan(scheduler, EDM(), Prediction.EPSILON, tuple(EDM().at(s=s) for s in levels))


def share(scheduler: LMS, levels: tuple[float, ...], node: int) -> float:
    """How much of the ε of one evaluation is in the last step, in units of s."""

    def only(query: Query, plan: Plan) -> Tensor:
        return torch.full_like(query.x, float(query.index == node))

    def until(count: int) -> Tensor:
        return drive(plan(scheduler, levels[: count + 1]), X, only)

    last = len(levels) - 1
    return float(until(last) - until(last - 1))


def test_even_steps_have_the_weights_of_adams_and_bashforth() -> None:
    levels = (5.0, 4.0, 3.0, 2.0, 1.0)
    found = [-share(LMS(guard=False), levels, node) for node in (3, 2, 1, 0)]
    assert found == pytest.approx([float(Fraction(n, 24)) for n in (55, -59, 37, -9)])
    found = [-share(LMS(guard=False, order=3), levels, node) for node in (3, 2, 1, 0)]
    assert found == pytest.approx([*(float(Fraction(n, 12)) for n in (23, -16, 5)), 0.0], abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_polynomial_of_a_lower_degree_than_the_order_is_integrated_exactly(order: int) -> None:
    levels = (9.0, 7.5, 6.7, 4.1, 3.2, 0.8)
    moments = [
        sum(share(LMS(guard=False, order=order), levels, i) * levels[i] ** k for i in range(5)) for k in range(order)
    ]
    exact = [(0.8 ** (k + 1) - 3.2 ** (k + 1)) / (k + 1) for k in range(order)]
    assert moments == pytest.approx(exact, rel=1e-10)


def test_the_step_to_the_clean_end_lands_on_x0_or_keeps_its_order() -> None:
    levels, oracle = (3.0, 2.0, 1.0, 0.0), GaussianOracle(0.3, 0.4)
    x = torch.tensor([[1.7]], dtype=torch.float64)
    near = drive(plan(LMS(guard=False), levels[:-1]), x, oracle.answer)
    x0 = 0.3 + 0.4 / 1.4 * (near - 0.3)
    assert torch.allclose(drive(plan(LMS(guard=False), levels), x, oracle.answer), x0, rtol=1e-12)
    full = [-share(LMS(guard=False, arrival="full"), levels, node) for node in (2, 1, 0)]
    assert full == pytest.approx([float(Fraction(n, 12)) for n in (23, -16, 5)])
