"""DPM-Solver-2: the conformance suite, and single steps in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Prediction, Process, Query, Scheduler, VariancePreserving
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry.testing._networks._moments import kept_variance
from latentry_dpm2 import DPM2, DPM2Ancestral

SD = VariancePreserving.from_betas()
X = torch.tensor([[0.7, -1.1, 0.2]], dtype=torch.float64)


class TestDPM2(SchedulerSuite):
    scheduler = "dpm2"


class TestDPM2Ancestral(SchedulerSuite):
    scheduler = "dpm2-ancestral"


@pytest.mark.parametrize("r", [0.5, 0.3, 0.8])
def test_one_step_is_algorithm_4(r: float) -> None:
    """With the paper's own symbols: u, then x_t."""
    start, end = SD.at(lam=-1.0), SD.at(lam=-0.2)
    middle = SD.at(lam=-1.0 + r * 0.8)

    def eps(x: Tensor, lam: float) -> Tensor:
        return torch.sin(3 * x) + lam

    e = eps(X, start.lam)
    u = middle.alpha / start.alpha * X - middle.sigma * math.expm1(r * 0.8) * e
    grown = end.sigma * math.expm1(0.8)
    expected = end.alpha / start.alpha * X - grown * e - grown / (2 * r) * (eps(u, middle.lam) - e)
    plan = Plan(DPM2(guard=False, r=r), SD, Prediction.EPSILON, (start, end))
    found = drive(plan, X, lambda query, plan: eps(query.x, query.point.lam))
    assert torch.allclose(found, expected, rtol=1e-12)


def test_longer_steps_have_one_stage() -> None:
    points = tuple(SD.at(lam=lam) for lam in (-2.0, -1.5, 0.5, 1.0))
    assert Plan(DPM2(longest_step=1.0), SD, Prediction.V, points).evaluations_by_step == (2, 1, 2)
    assert Plan(DPM2(longest_step=math.inf), SD, Prediction.V, points).evaluations_by_step == (2, 2, 2)


@pytest.mark.parametrize("eta", [0.4, 1.0])
def test_the_ancestral_step_goes_below_its_end_and_up_again(eta: float) -> None:
    """On s = σ/α: midpoint in log s to s_down, then σ_up, as in k-diffusion."""
    up = eta * math.sqrt(1.0 - (1.5 / 2.0) ** 2) * 1.5
    down = math.sqrt(1.5**2 - up**2)
    middle = math.sqrt(2.0 * down)
    eps = lambda query, plan: torch.full_like(query.x, query.point.s**2)  # noqa: E731
    plan = Plan(
        DPM2Ancestral(guard=False, fitted=False, eta=eta), EDM(), Prediction.EPSILON, (EDM().at(s=2.0), EDM().at(s=1.5))
    )
    z = torch.tensor([[1.0, 0.0, -2.0]], dtype=torch.float64)
    found = drive(plan, X, eps, noise=lambda *_: z)
    assert torch.allclose(found, X + (down - 2.0) * middle**2 + up * z, rtol=1e-12)


def test_without_stochasticity_the_two_are_one() -> None:
    points = tuple(Flow().at(s=s) for s in (4.0, 2.0, 1.0, 0.4, 0.0))
    oracle = GaussianOracle(0.3, 0.4)
    schedulers = (DPM2(guard=False, longest_step=math.inf), DPM2Ancestral(guard=False, fitted=False, eta=0.0))
    one, other = (drive(Plan(s, Flow(), Prediction.FLOW, points), X, oracle.answer) for s in schedulers)
    assert torch.equal(one, other)


def test_the_second_evaluation_of_an_ancestral_step_may_lie_below_its_end() -> None:
    plan = Plan(DPM2Ancestral(guard=False), EDM(), Prediction.EDM, (EDM().at(s=2.0), EDM().at(s=1.9)))
    first, second = (query.point.s for query in _queries(plan))
    assert first == pytest.approx(2.0)
    assert second == pytest.approx(math.sqrt(2.0 * 1.9**2 / 2.0))


def _queries(plan: Plan) -> tuple[Query, ...]:
    return plan.queries or ()


def spread(scheduler: Scheduler, process: Process, variance: float, lams: Sequence[float]) -> float:
    """The variance at the end on N(0, variance), as a part of what it should be."""
    plan = Plan(scheduler, process, Prediction.V, tuple(process.at(lam=lam) for lam in lams))
    return float(kept_variance(plan, torch.tensor([variance], dtype=torch.float64)))


@pytest.mark.parametrize("process", [SD, EDM(), Flow()], ids=lambda process: process.kind)
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_long_ancestral_steps_keep_the_variance_of_normal_data(eta: float, process: Process) -> None:
    lams = (-2.6, -1.4, -0.2, 1.0, 2.2)
    assert spread(DPM2Ancestral(guard=False, eta=eta), process, 1.0, lams) == pytest.approx(1.0, rel=1e-12)
    assert abs(spread(DPM2Ancestral(guard=False, fitted=False, eta=eta), process, 1.0, lams) - 1.0) > 0.05
