"""DPM fast: the conformance suite, and the paper's algorithms written out."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Prediction, Process, VariancePreserving
from latentry.testing import MixtureOracle, SchedulerSuite, drive
from latentry_dpm_adaptive import DPMFast

DATA = MixtureOracle()
PROCESSES: list[Process] = [EDM(), VariancePreserving.from_betas(), Flow()]


class TestDPMFast(SchedulerSuite):
    scheduler = "dpm-fast"


def starts(count: int, seed: int) -> Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def eps(x: Tensor, lam: float) -> Tensor:
    return DATA.predict(x, EDM().at(lam=lam))[1]


def solver(order: int, x: Tensor, lam: float, h: float) -> Tensor:
    """DPM-Solver-1 to -3 with r₁ = 1/2, or 1/3 and 2/3 (eq. 3.7, algorithms 4 and 5), on x/α where α = 1."""
    s = math.exp(-lam)
    first = eps(x, lam)
    if order == 1:
        return x - s * math.exp(-h) * math.expm1(h) * first
    r1 = 1 / order if order == 2 else 1 / 3
    u1 = x - s * math.exp(-r1 * h) * math.expm1(r1 * h) * first
    d1 = eps(u1, lam + r1 * h) - first
    whole = x - s * math.exp(-h) * math.expm1(h) * first
    if order == 2:
        return whole - s * math.exp(-h) / (2 * r1) * math.expm1(h) * d1
    r2 = 2 / 3
    u2 = x - s * math.exp(-r2 * h) * math.expm1(r2 * h) * first
    u2 = u2 - s * math.exp(-r2 * h) * r2 / r1 * (math.expm1(r2 * h) / (r2 * h) - 1) * d1
    return whole - s * math.exp(-h) / r2 * (math.expm1(h) / h - 1) * (eps(u2, lam + r2 * h) - first)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize(("steps", "orders"), [(1, [1]), (2, [2]), (3, [2, 1]), (7, [3, 3, 1]), (9, [3, 3, 2, 1])])
def test_it_divides_the_evaluations_as_the_paper_does(process: Process, steps: int, orders: list[int]) -> None:
    length = 0.4
    ends = [-2.0 + length * i for i in range(len(orders) + 1)]
    lams = [a + length * k / order for (a, _), order in zip(pairwise(ends), orders, strict=True) for k in range(order)]
    points = tuple(process.at(lam=lam) for lam in (*lams, ends[-1]))
    plan = Plan(DPMFast(), process, Prediction.V, points)
    assert plan.evaluations == steps
    x = 7.4 * starts(6, steps)
    expected = x
    for lam, order in zip(ends, orders, strict=False):
        expected = solver(order, expected, lam, length)
    found = drive(plan, points[0].alpha * x, DATA.answer) / points[-1].alpha
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_longer_steps_are_of_first_order() -> None:
    points = tuple(EDM().at(lam=-2.0 + i) for i in range(5))
    x = 7.4 * starts(4, 1)
    first = x
    for a, b in pairwise(points):
        first = solver(1, first, a.lam, b.lam - a.lam)
    short, long = (Plan(DPMFast(longest_step=h, guard=False), EDM(), Prediction.EDM, points) for h in (1.9, 3.1))
    assert torch.allclose(drive(short, x, DATA.answer), first, rtol=1e-12)
    assert not torch.allclose(drive(long, x, DATA.answer), first, rtol=1e-2)


def test_an_evaluation_that_a_cache_made_up_ends_the_single_step() -> None:
    points = tuple(EDM().at(lam=0.3 * i) for i in range(5))
    plan = Plan(DPMFast(), EDM(), Prediction.EDM, points)
    run = plan.start(starts(2, 2))
    for real in (True, False):
        query = run.query
        assert query is not None
        run.advance(DATA.answer(query, plan), real=real)
    expected = solver(1, solver(1, starts(2, 2), 0.0, 0.3), 0.3, 0.3)
    assert torch.allclose(run.sample, expected, rtol=1e-12)
