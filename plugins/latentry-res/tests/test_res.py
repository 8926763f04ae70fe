"""RES: the conformance suites, and the paper's coefficients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from latentry import Plan, Prediction, Scheduler, VariancePreserving
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry.testing._networks._drive import trace
from latentry_res import RES2M, RES2S, RES3M

SD = VariancePreserving.from_betas()
DATA = GaussianOracle(0.3, 0.4)
LAMS = (-1.5, -1.1, -0.5, 0.2)
X = torch.tensor([[0.7, -1.1, 0.2]], dtype=torch.float64)


class TestRES2M(SchedulerSuite):
    scheduler = "res-2m"


class TestRES3M(SchedulerSuite):
    scheduler = "res-3m"


class TestRES2S(SchedulerSuite):
    scheduler = "res-2s"


def phi_1(h: float) -> float:
    return (1 - math.exp(-h)) / h


def phi_2(h: float) -> float:
    return (1 - phi_1(h)) / h


def phi_3(h: float) -> float:
    return (0.5 - phi_2(h)) / h


@pytest.mark.parametrize("c2", [0.3, 0.5, 1.0])
def test_2s_has_the_coefficients_of_the_paper(c2: float) -> None:
    a, b = SD.at(lam=LAMS[0]), SD.at(lam=LAMS[1])
    middle, h = SD.at(lam=a.lam + c2 * (b.lam - a.lam)), b.lam - a.lam
    first = DATA.predict(X, a)[0]
    # on x/α, which the paper's equation in λ is for
    between = middle.alpha * (math.exp(-c2 * h) * X / a.alpha + c2 * h * phi_1(c2 * h) * first)
    second = DATA.predict(between, middle)[0]
    b2 = phi_2(h) / c2
    expected = b.alpha * (math.exp(-h) * X / a.alpha + h * ((phi_1(h) - b2) * first + b2 * second))
    plan = Plan(RES2S(c2=c2), SD, Prediction.V, (a, b))
    assert torch.allclose(drive(plan, X, DATA.answer), expected, rtol=1e-12)


def evaluated(scheduler: Scheduler) -> tuple[Plan, list[Tensor], Tensor]:
    """A plan, x₀ at each of its evaluations, and the sample before its last step."""
    plan = Plan(scheduler, SD, Prediction.V, tuple(SD.at(lam=lam) for lam in LAMS))
    samples = trace(plan.start(X), DATA.answer)[:-1]
    return plan, [DATA.predict(x, p)[0] for x, p in zip(samples, plan.points, strict=False)], samples[-1]


def test_2m_has_the_coefficients_of_the_paper() -> None:
    plan, (_, then, now), before = evaluated(RES2M())
    a, b = plan.points[-2:]
    h, c2 = b.lam - a.lam, (LAMS[-3] - LAMS[-2]) / (LAMS[-1] - LAMS[-2])
    b2 = phi_2(h) / c2
    expected = b.alpha * (math.exp(-h) * before / a.alpha + h * ((phi_1(h) - b2) * now + b2 * then))
    assert torch.allclose(drive(plan, X, DATA.answer), expected, rtol=1e-12)


def test_3m_meets_the_order_conditions() -> None:
    plan, (oldest, then, now), before = evaluated(RES3M(lower_order_final=False))
    a, b = plan.points[-2:]
    h = b.lam - a.lam
    c = np.array([0.0, LAMS[-3] - LAMS[-2], LAMS[-4] - LAMS[-2]]) / h
    # Σ b_j·c_j^(k − 1)/(k − 1)! = φ_k for k = 1, 2, 3
    powers = np.array([c**0, c, c**2 / 2])
    b_ = np.linalg.solve(powers, [phi_1(h), phi_2(h), phi_3(h)])
    sum_ = b_[0] * now + b_[1] * then + b_[2] * oldest
    expected = b.alpha * (math.exp(-h) * before / a.alpha + h * sum_)
    assert torch.allclose(drive(plan, X, DATA.answer), expected, rtol=1e-11)


@pytest.mark.parametrize("scheduler", [RES2M, RES3M])
def test_lower_order_final_ends_with_first_order(scheduler: type[Scheduler]) -> None:
    plan, (*_, now), before = evaluated(scheduler(lower_order_final=True))
    a, b = plan.points[-2:]
    expected = b.sigma / a.sigma * before + b.alpha * (1 - math.exp(a.lam - b.lam)) * now
    assert torch.allclose(drive(plan, X, DATA.answer), expected, rtol=1e-12)
    assert not torch.allclose(drive(evaluated(scheduler(lower_order_final=False))[0], X, DATA.answer), expected)
