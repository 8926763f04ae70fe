"""iPNDM: the conformance suite, and its weights."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from latentry import EDM, Plan, Prediction, Query
from latentry.testing import SchedulerSuite, drive
from latentry_ipndm import IPNDM

X = torch.zeros(1, 1, dtype=torch.float64)
TABLE = ((1,), (3, -1), (23, -16, 5), (55, -59, 37, -9))
UNIT = (1, 2, 12, 24)


class TestIPNDM(SchedulerSuite):
    scheduler = "ipndm"


def plan(scheduler: IPNDM, levels: tuple[float, ...]) -> Plan:
    """With ε as the network's own output."""
    return Plan(scheduler, EDM(), Prediction.EPSILON, tuple(EDM().at(s=s) for s in levels))


def shares(scheduler: IPNDM, levels: tuple[float, ...]) -> list[float]:
    """How much of each ε, newest first, is in the last step, over the step's length."""
    count = len(levels) - 1

    def share(node: int) -> float:
        def only(query: Query, plan: Plan) -> Tensor:
            return torch.full_like(query.x, float(query.index == node))

        whole = drive(plan(scheduler, levels), X, only)
        before = drive(plan(scheduler, levels[:-1]), X, only) if count > 1 else X
        return float(whole - before) / (levels[-1] - levels[-2])

    return [share(node) for node in reversed(range(count))]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_the_weights_are_the_papers_on_any_grid(steps: int) -> None:
    """Appendix: orders 1, 2 and 3 first, then 4."""
    levels = (3.0, 2.7, 2.0, 1.8, 1.1)[: steps + 1]
    expected = [float(Fraction(n, UNIT[steps - 1])) for n in TABLE[steps - 1]]
    assert shares(IPNDM(guard=False, stable=False), levels) == pytest.approx(expected)


def test_the_order_bounds_how_far_it_looks_back() -> None:
    assert shares(IPNDM(guard=False, order=2), (3.0, 2.7, 2.0, 1.8)) == pytest.approx([1.5, -0.5, 0.0])


def test_the_step_to_the_clean_end_keeps_its_order_if_asked() -> None:
    levels = (3.0, 2.0, 1.0, 0.0)
    assert shares(IPNDM(guard=False), levels) == pytest.approx([1.0, 0.0, 0.0])
    full = IPNDM(guard=False, arrival="full", stable=False)
    assert shares(full, levels) == pytest.approx([23 / 12, -16 / 12, 5 / 12])


def test_over_longer_steps_the_order_is_lowered() -> None:
    levels = (9.0, 8.0, 7.0, 6.0)
    assert shares(IPNDM(guard=False), (*levels, 4.5)) == pytest.approx(
        [55 / 24, -59 / 24, 37 / 24, -9 / 24]
    )  # 1/4 of s
    assert shares(IPNDM(guard=False), (*levels, 3.0)) == pytest.approx([23 / 12, -16 / 12, 5 / 12, 0.0])
    assert shares(IPNDM(guard=False), (*levels, 1.0)) == pytest.approx([1.5, -0.5, 0.0, 0.0])
