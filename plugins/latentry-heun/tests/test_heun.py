"""Heun: the conformance suite, and its options in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Prediction, Process, VariancePreserving
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry_heun import Heun

SD = VariancePreserving.from_betas()
DATA = GaussianOracle(0.3, 0.4)
X = torch.tensor([[0.7, -1.1, 0.2]], dtype=torch.float64)


class TestHeun(SchedulerSuite):
    scheduler = "heun"


def test_one_step_is_the_trapezoidal_rule_on_s() -> None:
    start, end = EDM().at(s=2.0), EDM().at(s=1.2)
    slope = lambda x, s: (x - 0.3) * s / (0.4 + s * s)  # noqa: E731 - ε of N(0.3, 0.4)
    first = slope(X, 2.0)
    expected = X - 0.8 * 0.5 * (first + slope(X - 0.8 * first, 1.2))
    plan = Plan(Heun(clock="s"), EDM(), Prediction.EDM, (start, end))
    assert torch.allclose(drive(plan, X, DATA.answer), expected, rtol=1e-12)


def test_one_step_in_t_is_the_trapezoidal_rule_on_the_velocity() -> None:
    def velocity(x: Tensor, t: float) -> Tensor:
        off = (x - (1 - t) * 0.3) / ((1 - t) ** 2 * 0.4 + t * t)
        return t * off - (0.3 + (1 - t) * 0.4 * off)

    start, end = Flow().noisiest, Flow().at(timestep=600)
    first = velocity(X, 1.0)
    expected = X - 0.4 * 0.5 * (first + velocity(X - 0.4 * first, 0.6))
    plan = Plan(Heun(guard=False), Flow(), Prediction.FLOW, (start, end))
    assert torch.allclose(drive(plan, X, DATA.answer), expected, rtol=1e-12)
    assert plan.evaluations == 2  # where s is infinite, on s it takes one
    assert Plan(Heun(clock="s"), Flow(), Prediction.FLOW, (start, end)).evaluations == 1


def test_in_t_it_is_of_second_order_from_pure_noise() -> None:
    def error(steps: int) -> float:
        points = tuple(Flow().at(timestep=1000 - 800 * i / steps) for i in range(steps + 1))
        plan = Plan(Heun(), Flow(), Prediction.FLOW, points)
        return float((drive(plan, X, DATA.answer) - DATA.path(X, points[0], points[-1])).norm())

    assert math.log2(error(40) / error(80)) > 1.9


@pytest.mark.parametrize("process", [SD, EDM()])
@pytest.mark.parametrize("clock", ["s", "t"])
def test_either_clock_is_the_same_on_every_process(process: Process, clock: str) -> None:
    def end(on: Process, prediction: Prediction) -> Tensor:
        points = tuple(on.at(s=s) for s in (4.0, 2.0, 1.0, 0.0))
        return drive(Plan(Heun(clock=clock), on, prediction, points), points[0].alpha * X, DATA.answer)  # type: ignore[arg-type]

    assert torch.allclose(end(process, Prediction.X0), end(Flow(), Prediction.FLOW), rtol=1e-12)


def test_longer_steps_are_eulers() -> None:
    points = tuple(SD.at(lam=lam) for lam in (-2.0, -1.5, 0.5, 1.0))
    assert Plan(Heun(longest_step=1.0), SD, Prediction.V, points).evaluations_by_step == (2, 1, 2)
    assert Plan(Heun(longest_step=math.inf), SD, Prediction.V, points).evaluations_by_step == (2, 2, 2)


@pytest.mark.parametrize("process", [SD, Flow(), EDM()])
def test_churn_raises_the_level_by_what_it_adds(process: Process) -> None:
    """Algorithm 2, lines 5 and 6, in the process's own x: data that is one point shows the noise alone."""
    plan = Plan(Heun(churn=0.3), process, Prediction.V, (process.at(s=2.0), process.at(s=1.0)))
    start = plan.points[0]
    columns = torch.eye(2, dtype=torch.float64)
    run = plan.start(start.alpha * 0.7 + start.sigma * columns[:1], noise=lambda *_: columns[1:])
    query = run.query
    assert query is not None
    assert query.point.s == pytest.approx(2.0 * 1.3)
    noise = query.x - query.point.alpha * 0.7
    assert float(noise.norm()) == pytest.approx(query.point.sigma, rel=1e-12)


def test_churn_keeps_to_its_bounds() -> None:
    points = tuple(EDM().at(s=s) for s in (8.0, 4.0, 2.0, 1.0))
    queries = Plan(Heun(churn=1.0, churn_min=3.0, churn_max=5.0), EDM(), Prediction.EDM, points).queries or ()
    firsts = [query.point.s for query in queries if query.stage == 0]
    assert firsts == pytest.approx([8.0, 4.0 * (1 + 1 / 3), 2.0])
