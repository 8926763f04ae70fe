"""DPM adaptive: the conformance suite, and that the tolerance decides the steps."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Prediction, Process, VariancePreserving
from latentry.solvers import StepController
from latentry.testing import MixtureOracle, SchedulerSuite, drive
from latentry_dpm_adaptive import DPMAdaptive

DATA = MixtureOracle()
SD = VariancePreserving.from_betas()


class TestDPMAdaptive(SchedulerSuite):
    scheduler = "dpm-adaptive"


def start(seed: int) -> Tensor:
    return torch.randn(1, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def queried(plan: Plan, x: Tensor) -> tuple[list[float], list[float], Tensor]:
    """λ of every evaluation, λ at which steps ended, and the sample at the end."""
    run, asked, reached = plan.start(x), [], []
    while (query := run.query) is not None:
        asked.append(query.point.lam)
        before = run.point
        run.advance(DATA.answer(query, plan))
        if run.point != before:
            reached.append(run.point.lam)
    return asked, reached, run.sample


def whole(process: Process, **options: float) -> Plan:
    points = (process.noisiest, process.clean())
    return Plan(DPMAdaptive.model_validate(options), process, Prediction.V, points)


def off(plan: Plan, seed: int) -> float:
    x = plan.noise_scale() * start(seed)
    return float((drive(plan, x, DATA.answer) - DATA.path(x, plan.points[0], plan.points[-1])).norm())


@pytest.mark.slow
@pytest.mark.parametrize("process", [SD, Flow(), EDM()], ids=lambda process: process.kind)
@pytest.mark.parametrize("order", [2, 3])
def test_a_stricter_tolerance_costs_more_and_errs_less(process: Process, order: int) -> None:
    counts, errors = [], []
    for rtol in (0.2, 0.02, 0.002):
        plan = whole(process, order=order, rtol=rtol, atol=rtol / 6, last_level=1e-3)
        counts.append(len(queried(plan, plan.noise_scale() * start(0))[0]))
        errors.append(sum(off(plan, seed) for seed in range(4)) / 4)
    assert counts == sorted(set(counts))
    assert errors[2] < errors[1] / 3 < errors[0] / 9


@pytest.mark.parametrize("order", [2, 3])
def test_a_rejected_step_uses_its_first_evaluation_again(order: int) -> None:
    plan = Plan(DPMAdaptive(order=order, first_step=4.0), EDM(), Prediction.EDM, (EDM().at(s=8.0), EDM().at(s=0.1)))
    asked, reached, _ = queried(plan, 8.0 * start(1))
    firsts = [lam for lam in asked if lam in (plan.points[0].lam, *reached)]
    tries = (len(asked) - len(firsts)) / (order - 1)
    assert len(firsts) == len(set(firsts)) == len(reached)
    assert tries == int(tries) > len(reached)


def test_it_stops_at_every_boundary() -> None:
    points = tuple(SD.at(s=s) for s in (14.0, 5.0, 1.7, 0.2, 0.0))
    asked, reached, _ = queried(Plan(DPMAdaptive(), SD, Prediction.V, points), start(2))
    assert {point.lam for point in points[1:]} <= set(reached)
    assert len(set(asked)) == len(asked)
    assert reached == sorted(reached)


def test_the_last_level_is_where_x0_is_taken() -> None:
    asked, reached, _ = queried(whole(EDM(), last_level=0.2), 80.0 * start(3))
    assert asked[-1] == reached[-2] == pytest.approx(-math.log(0.2))
    assert reached[-1] == math.inf


def test_a_boundary_that_cuts_a_step_short_does_not_shorten_the_next() -> None:
    points = tuple(EDM().at(lam=lam) for lam in (-3.0, -1.0, -0.999, 1.0))
    free = queried(Plan(DPMAdaptive(), EDM(), Prediction.EDM, (points[0], points[-1])), 20.0 * start(4))[0]
    cut = queried(Plan(DPMAdaptive(), EDM(), Prediction.EDM, points), 20.0 * start(4))[0]
    assert len(cut) <= len(free) + 9


def test_the_controllers_integral_part_is_the_papers_rule() -> None:
    """h ← h·(tolerance/error)^(1/order), within what the limiter allows; it is 1 where the error is the tolerance."""
    controller = StepController(0.0, 1.0, 0.0, 3)
    for error in (0.9, 1.0, 1.1):
        assert controller.factor(error, ())[0] == pytest.approx(error ** (-1 / 3), rel=1e-3)
        assert controller.factor(error, (5.0, 7.0))[0] == controller.factor(error, ())[0]
    assert controller.factor(1e9, ())[0] > 0.2
    assert controller.factor(0.0, ())[0] < 1 + math.pi / 2
