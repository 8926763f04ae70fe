"""Gradient estimation: the conformance suite, and the paper's iteration written out."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Prediction, VariancePreserving
from latentry.testing import GaussianOracle, MixtureOracle, SchedulerSuite, drive
from latentry_gradient_estimation import GradientEstimation

DATA = MixtureOracle()
LEVELS = (9.0, 5.0, 2.2, 1.5, 0.4, 0.1)


class TestGradientEstimation(SchedulerSuite):
    scheduler = "gradient-estimation"


def starts(seed: int) -> Tensor:
    return torch.randn(8, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 2.7])
@pytest.mark.parametrize("process", [EDM(), VariancePreserving.from_betas(), Flow()], ids=lambda p: p.kind)
def test_it_is_the_papers_iteration(process: EDM | Flow | VariancePreserving, gamma: float) -> None:
    """x ← x + (σ′ − σ)·(γ·ε + (1 − γ)·ε_before), in x̄ = x/α and s = σ/α."""
    expected = x = LEVELS[0] * starts(int(10 * gamma))
    before: Tensor | None = None
    for s, after in zip(LEVELS, (*LEVELS[1:], 0.0), strict=True):
        eps = DATA.predict(expected, EDM().at(s=s))[1]
        combined = eps if before is None or after == 0.0 else gamma * eps + (1.0 - gamma) * before
        expected, before = expected + (after - s) * combined, eps
    points = tuple(process.at(s=s) for s in (*LEVELS, 0.0))
    plan = Plan(GradientEstimation(guard=False, gamma=gamma), process, Prediction.V, points)
    assert torch.allclose(drive(plan, points[0].alpha * x, DATA.answer), expected, rtol=1e-12, atol=1e-12)


def test_on_t_a_flow_combines_velocities_from_pure_noise_on() -> None:
    times = (1.0, 0.8, 0.55, 0.3)
    expected = x = starts(1)
    before: Tensor | None = None
    for t, after in pairwise(times):
        x0, eps = DATA.predict(expected, Flow().at(timestep=1000 * t))
        combined = eps - x0 if before is None else 2.0 * (eps - x0) - before
        expected, before = expected + (after - t) * combined, eps - x0
    points = tuple(Flow().at(timestep=1000 * t) for t in times)
    plan = Plan(GradientEstimation(guard=False, clock="t"), Flow(), Prediction.FLOW, points)
    assert torch.allclose(drive(plan, x, DATA.answer), expected, rtol=1e-12, atol=1e-12)


def test_an_answer_that_a_cache_made_up_is_not_remembered() -> None:
    plan = Plan(
        GradientEstimation(guard=False), EDM(), Prediction.EDM, tuple(EDM().at(s=s) for s in (4.0, 2.0, 1.0, 0.5))
    )
    run, made_up = plan.start(4.0 * starts(2)), GaussianOracle(3.0, 0.1)
    for real in (True, False, True):
        query = run.query
        assert query is not None
        run.advance((DATA if real else made_up).answer(query, plan), real=real)
        if not real:  # one step of first order, along what it was given
            assert torch.allclose(run.sample, query.x - made_up.predict(query.x, query.point)[1], rtol=1e-12)
    assert run.done


def test_three_halves_is_adams_and_bashforths_on_steps_even_in_s() -> None:
    def error(steps: int) -> float:
        points = tuple(EDM().at(s=2.0 - 1.5 * i / steps) for i in range(steps + 1))
        x = 2.0 * starts(3)
        off = drive(Plan(GradientEstimation(guard=False, gamma=1.5), EDM(), Prediction.EDM, points), x, DATA.answer)
        return float((off - DATA.path(x, points[0], points[-1])).norm())

    assert math.log2(error(80) / error(160)) > 1.9
