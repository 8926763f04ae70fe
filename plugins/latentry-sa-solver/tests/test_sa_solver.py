"""SA-Solver: the conformance suite, and the special cases that equal other methods."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Prediction, Process, VariancePreserving
from latentry.testing import GaussianOracle, MixtureOracle, SchedulerSuite, drive
from latentry_sa_solver import SASolver

SD = VariancePreserving.from_betas()
PROCESSES = {"vp": (SD, Prediction.V), "flow": (Flow(), Prediction.FLOW), "edm": (EDM(), Prediction.EDM)}
LEVELS = (3.0, 2.5, 1.9, 1.6)
X = torch.tensor([[0.7, -1.1]], dtype=torch.float64)


class TestSASolver(SchedulerSuite):
    scheduler = "sa-solver"


def laid(scheduler: SASolver, process: Process, prediction: Prediction, *levels: float) -> Plan:
    """On s = σ/α."""
    return Plan(scheduler, process, prediction, tuple(process.at(s=s) for s in levels))


def parts(plan: Plan) -> Tensor:
    """How much of the start's noise and of each draw is in the result, for data that is one point."""
    columns = torch.eye(len(plan) + 1, dtype=torch.float64)
    x = plan.points[0].alpha * 0.7 + plan.points[0].sigma * columns[:1]
    noise = lambda like, interval, draw, clock: columns[interval + 1][None]  # noqa: E731
    return (drive(plan, x, GaussianOracle(0.7, 0.0).answer, noise=noise) - plan.points[-1].alpha * 0.7)[0]


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("tau", [0.4, 1.0, 2.0])
def test_the_noise_adds_up_to_sigma_on_every_process(tau: float, name: str) -> None:
    plan = laid(SASolver(tau=tau), *PROCESSES[name], *LEVELS)
    assert float(parts(plan).square().sum()) == pytest.approx(plan.points[-1].sigma ** 2, rel=1e-12)


@pytest.mark.parametrize("name", PROCESSES)
def test_the_rest_of_old_noise_fades_with_tau(name: str) -> None:
    """Proposition 4.2: e^(−τ²·h) of it beyond what σ itself loses."""
    plan = laid(SASolver(tau=0.7), *PROCESSES[name], 3.0, 2.5)
    assert float(parts(plan)[0]) == pytest.approx(plan.points[1].sigma * (2.5 / 3.0) ** 0.49, rel=1e-12)


def test_noise_keeps_to_its_interval() -> None:
    drawn: list[int] = []

    def noise(like: Tensor, interval: int, draw: int, clock: object) -> Tensor:
        drawn.append(interval)
        return torch.zeros_like(like)

    plan = laid(SASolver(tau_min=1.7, tau_max=2.6), EDM(), Prediction.EDM, *LEVELS, 1.2)
    drive(plan, X, GaussianOracle().answer, noise=noise)
    assert drawn == [1, 2]


def test_without_noise_and_corrector_its_first_order_is_ddim() -> None:
    plan = laid(SASolver(predictor=1, corrector=0, tau=0.0), SD, Prediction.V, 3.0, 2.0)
    oracle = GaussianOracle(0.3, 0.4)
    x0, eps = oracle.predict(X, plan.points[0])
    end = plan.points[1]
    assert torch.allclose(drive(plan, X, oracle.answer), end.alpha * x0 + end.sigma * eps, rtol=1e-12)


def last_step(scheduler: SASolver, values: dict[int, float], *levels: float) -> float:
    """The result without any noise, x₀ having been given by evaluation and the start 0."""
    plan = laid(scheduler, EDM(), Prediction.X0, *levels)
    network = lambda query, plan: torch.full_like(query.x, values.get(query.index, 0.0))  # noqa: E731
    start = torch.zeros(1, 1, dtype=torch.float64)
    return float(drive(plan, start, network, noise=lambda like, *_: torch.zeros_like(like))[0, 0])


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_the_corrector_weighs_the_slope_by_its_integral_or_by_h(tau: float) -> None:
    """At order 2: the trapezoid's exact weight of the new x₀, or the authors' B(h) = (1 + τ²)·h."""
    a, b, c = 2.5, 2.2, 1.0
    rate = 1.0 + tau**2
    z = rate * math.log(a / b)
    exact = 1.0 + math.expm1(-z) / z  # ∫ k·e^(−k·(h − t))·t/h dt
    options = {"predictor": 1, "corrector": 2, "tau": tau, "longest_step": 9.0}
    for simplified, weight in ((False, exact), (True, z / 2)):
        scheduler = SASolver.model_validate(options | {"simplified": simplified})
        kept = (c / b) ** rate  # the corrected x at b fades to c, and the new x₀ acts over the last step
        assert last_step(scheduler, {1: 1.0}, a, b, c) == pytest.approx(kept * weight + 1.0 - kept, rel=1e-10)


def test_no_step_is_corrected_that_is_longer_than_half_the_longest() -> None:
    scheduler = {"predictor": 1, "corrector": 2, "tau": 0.0}
    uncorrected = last_step(SASolver.model_validate(scheduler | {"longest_step": 0.2}), {1: 1.0}, 2.5, 2.2, 1.0)
    assert uncorrected == pytest.approx(1.0 - 1.0 / 2.2)


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_pece_evaluates_again_what_it_corrected(tau: float, name: str) -> None:
    """Predictor of one evaluation, corrector of two, on x̄ = x/α: with k = 1 + τ² and D linear in λ between P and E

    predict x̄ ← e^(−kh)·x̄ + (1 − e^(−kh))·D + noise, correct with D's slope to the evaluation there, evaluate again.
    """
    data, k = MixtureOracle(), 1.0 + tau**2
    process, prediction = PROCESSES[name]
    z = torch.randn(len(LEVELS), 4, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    expected = start = LEVELS[0] * z[-1]
    denoised = data.predict(start, EDM().at(s=LEVELS[0]))[0]
    count = 1
    for i, (s, to) in enumerate(pairwise(LEVELS)):
        h = math.log(s / to)
        fresh = to * math.sqrt(-math.expm1(-2 * tau**2 * h)) * z[i]
        linear = math.exp(-k * h) * expected + fresh
        predicted = linear - math.expm1(-k * h) * denoised
        if i == len(LEVELS) - 2:  # nothing follows that would correct it
            expected = predicted
            break
        there = data.predict(predicted, EDM().at(s=to))[0]
        slope = 1 + math.expm1(-k * h) / (k * h)  # ∫ k·e^(−k·(h − t))·t/h dt
        expected = predicted + slope * (there - denoised)
        denoised, count = data.predict(expected, EDM().at(s=to))[0], count + 2
    options = {"predictor": 1, "corrector": 2, "tau": tau, "longest_step": 9.0, "pece": True, "guard": False}
    plan = laid(SASolver.model_validate(options), process, prediction, *LEVELS)
    x = plan.points[0].alpha * start
    found = drive(plan, x, data.answer, noise=lambda like, interval, draw, clock: z[interval])
    assert plan.evaluations == count
    assert torch.allclose(found / plan.points[-1].alpha, expected, rtol=1e-10, atol=1e-12)
