"""DPM-Solver++: the conformance suites, and the methods in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Point, Prediction, Process, Scheduler, VariancePreserving
from latentry.testing import GaussianOracle, Oracle, SchedulerSuite, drive
from latentry.testing._networks._moments import kept_variance
from latentry_dpmpp import DPMpp2M, DPMpp2MSDE, DPMpp2SAncestral, DPMpp3M, DPMpp3MSDE, DPMppSDE

SD = VariancePreserving.from_betas()
DATA = GaussianOracle(0.3, 0.4)
LAMS = (-1.5, -1.1, -0.5, 0.2)
X = torch.tensor([[0.7, -1.1, 0.2]], dtype=torch.float64)
STOCHASTIC: list[Scheduler] = [
    DPMpp2MSDE(guard=False),
    DPMpp3MSDE(guard=False),
    DPMppSDE(guard=False),
    DPMppSDE(guard=False, eta_rule="ancestral", eta=0.6),
]


class Test2M(SchedulerSuite):
    scheduler = "dpmpp-2m"


class Test3M(SchedulerSuite):
    scheduler = "dpmpp-3m"


class Test2MSDE(SchedulerSuite):
    scheduler = "dpmpp-2m-sde"


class Test3MSDE(SchedulerSuite):
    scheduler = "dpmpp-3m-sde"


class TestSDE(SchedulerSuite):
    scheduler = "dpmpp-sde"


class Test2SAncestral(SchedulerSuite):
    scheduler = "dpmpp-2s-ancestral"


class Given(Oracle):
    """A network whose x₀ is a function of λ alone."""

    def __init__(self, x0: Callable[[float], float]) -> None:
        self.x0 = x0

    def predict(self, x: Tensor, point: Point) -> tuple[Tensor, Tensor]:
        x0 = torch.full_like(x, self.x0(point.lam))
        return x0, (x - point.alpha * x0) / point.sigma

    def path(self, x: Tensor, start: Point, end: Point) -> Tensor:
        nodes, weights = np.polynomial.legendre.leggauss(30)
        lams = start.lam + (end.lam - start.lam) * (nodes + 1) / 2
        values = [math.exp(lam - end.lam) * self.x0(lam) for lam in lams]
        return end.sigma / start.sigma * x + end.alpha * float(weights @ values) * (end.lam - start.lam) / 2


def on(scheduler: Scheduler, process: Process, lams: tuple[float, ...] = LAMS) -> Plan:
    return Plan(scheduler, process, Prediction.V, tuple(process.at(lam=lam) for lam in lams))


def last_step(scheduler: Scheduler, oracle: Oracle) -> tuple[Tensor, Tensor]:
    """Where the last step begins, and where it gets to."""
    plan = on(scheduler, SD)
    return drive(plan[:-1], X, oracle.answer), drive(plan, X, oracle.answer)


@pytest.mark.parametrize(
    ("scheduler", "power"),
    [
        (DPMpp2M(guard=False, solver="exact"), 1),
        (DPMpp3M(guard=False, lower_order_final=False), 1),
        (DPMpp3M(guard=False, lower_order_final=False), 2),
    ],
)
def test_a_step_is_exact_where_x0_is_a_polynomial_in_lambda(scheduler: Scheduler, power: int) -> None:
    oracle = Given(lambda lam: 0.4 - (lam + 0.3) ** power)
    before, after = last_step(scheduler, oracle)
    points = on(scheduler, SD).points
    assert torch.allclose(after, oracle.path(before, points[-2], points[-1]), rtol=1e-12)


def test_halved_counts_half_of_a_square() -> None:
    oracle = Given(lambda lam: (lam - LAMS[-2]) ** 2)
    start, end = on(DPMpp3M(guard=False), SD).points[-2:]
    before, exact = last_step(DPMpp3M(guard=False, lower_order_final=False), oracle)
    _, halved = last_step(DPMpp3M(guard=False, lower_order_final=False, variant="halved"), oracle)
    carried = end.sigma / start.sigma * before
    assert torch.allclose(halved - carried, (exact - carried) / 2, rtol=1e-10)


def test_2m_is_algorithm_2() -> None:
    oracle = GaussianOracle(0.3, 0.4)
    *_, a, b = on(DPMpp2M(guard=False), SD).points
    before, after = last_step(DPMpp2M(guard=False), oracle)
    earlier = drive(on(DPMpp2M(guard=False), SD)[:-2], X, oracle.answer)
    now, then = oracle.predict(before, a)[0], oracle.predict(earlier, on(DPMpp2M(guard=False), SD).points[-3])[0]
    h, r = b.lam - a.lam, (LAMS[-2] - LAMS[-3]) / (LAMS[-1] - LAMS[-2])
    mixed = (1 + 1 / (2 * r)) * now - 1 / (2 * r) * then
    assert torch.allclose(after, b.sigma / a.sigma * before - b.alpha * math.expm1(-h) * mixed, rtol=1e-12)


@pytest.mark.parametrize(
    "scheduler",
    [
        DPMppSDE(guard=False, fitted=False, eta=0.0, solver="midpoint"),
        DPMpp2SAncestral(guard=False, fitted=False, eta=0.0),
    ],
)
def test_single_steps_without_noise_are_algorithm_1(scheduler: Scheduler) -> None:
    oracle = GaussianOracle(0.3, 0.4)
    a, b = SD.at(lam=LAMS[0]), SD.at(lam=LAMS[1])
    middle = SD.at(lam=(a.lam + b.lam) / 2)
    h = b.lam - a.lam
    u = middle.sigma / a.sigma * X - middle.alpha * math.expm1(-h / 2) * oracle.predict(X, a)[0]
    expected = b.sigma / a.sigma * X - b.alpha * math.expm1(-h) * oracle.predict(u, middle)[0]
    assert torch.allclose(drive(on(scheduler, SD, LAMS[:2]), X, oracle.answer), expected, rtol=1e-12)


@pytest.mark.parametrize("lower", [True, False])
def test_lower_order_final_makes_3m_two_step_before_the_last(lower: bool) -> None:
    points = (*(SD.at(s=s) for s in (4.0, 2.0, 1.0)), SD.clean())
    solvers = DPMpp3M(lower_order_final=lower), DPMpp2M(solver="exact")
    three, two = (drive(Plan(s, SD, Prediction.V, (SD.at(s=8.0), *points)), X, DATA.answer) for s in solvers)
    assert torch.allclose(three, two, rtol=1e-12) == lower


@pytest.mark.parametrize(
    ("noisy", "ordinary"),
    [
        (DPMpp2MSDE(eta=0.0), DPMpp2M()),
        (DPMpp2MSDE(eta=0.0, solver="exact"), DPMpp2M(solver="exact")),
        (DPMpp3MSDE(eta=0.0), DPMpp3M()),
        (DPMpp3MSDE(eta=0.0, variant="halved"), DPMpp3M(variant="halved")),
    ],
)
@pytest.mark.parametrize("process", [SD, Flow(), EDM()])
def test_without_eta_the_sde_forms_are_the_ordinary_ones(
    noisy: Scheduler, ordinary: Scheduler, process: Process
) -> None:
    a, b = (drive(on(s, process), X, DATA.answer) for s in (noisy, ordinary))
    assert torch.allclose(a, b, rtol=1e-13)


class Basis:
    """Noise whose j-th draw is 1 in column j + 1."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, like: Tensor, interval: int, draw: int, clock: tuple[float, float] | None) -> Tensor:
        self.made += 1
        return torch.nn.functional.one_hot(torch.tensor([self.made]), like.shape[1]).to(like)


@pytest.mark.parametrize(
    "scheduler", [*STOCHASTIC, DPMpp2SAncestral(guard=False), DPMpp2SAncestral(guard=False, eta=0.4)]
)
@pytest.mark.parametrize("process", [SD, Flow(), EDM()])
def test_where_the_data_is_one_point_the_noise_is_exact_after_every_step(
    scheduler: Scheduler, process: Process
) -> None:
    # the sample is α·x₀ + σ·ε throughout: its variance is σ², whatever the step
    plan = on(scheduler, process)
    x = torch.zeros(1, 20, dtype=torch.float64)
    x[0, 0] = plan.points[0].sigma
    for steps in (1, 2, 3):
        end = drive(plan[:steps], x, GaussianOracle(0.0, 0.0).answer, noise=Basis())
        assert float(end.square().sum()) == pytest.approx(plan.points[steps].sigma ** 2, rel=1e-12)


@pytest.mark.parametrize("scheduler", STOCHASTIC)
def test_noise_scale_multiplies_the_noise_and_nothing_else(scheduler: Scheduler) -> None:
    def end(scale: float) -> Tensor:
        return drive(on(scheduler.model_copy(update={"noise_scale": scale}), SD), X, DATA.answer, seed=4)

    none, half, full = end(0.0), end(0.5), end(1.0)
    assert not torch.allclose(none, full)
    assert torch.allclose(half, (none + full) / 2, rtol=1e-12)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_both_meanings_of_eta_agree_at_0_and_1(eta: float) -> None:
    rules = (DPMppSDE(guard=False, eta=eta, eta_rule="sde"), DPMppSDE(guard=False, eta=eta, eta_rule="ancestral"))
    a, b = (drive(on(s, SD), X, DATA.answer, seed=3) for s in rules)
    assert torch.allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("scheduler", [DPMpp2MSDE, DPMpp3MSDE])
def test_long_stochastic_steps_are_of_first_order(scheduler: type[Scheduler]) -> None:
    def end(longest: float) -> Tensor:
        return drive(
            on(scheduler(longest_step=longest, lower_order_final=False), SD, (-2.0, -1.0, 0.0)), X, DATA.answer, seed=3
        )

    assert torch.equal(end(1.9), end(0.0))  # (1 + η)·h is 2
    assert torch.equal(end(2.1), end(math.inf))
    assert not torch.allclose(end(2.1), end(1.9))


def test_after_pure_noise_x0_is_linear_in_the_signal() -> None:
    process, oracle = Flow(), GaussianOracle(0.3, 0.4)
    points = (process.noisiest, process.at(timestep=800), process.at(timestep=600))
    plan = Plan(DPMpp2M(solver="exact"), process, Prediction.FLOW, points)
    before = drive(plan[:1], X, oracle.answer)
    first, second = oracle.predict(X, points[0])[0], oracle.predict(before, points[1])[0]
    u, v = (point.alpha / point.sigma for point in points[1:])
    # x/σ grows by ∫ x₀ du, u = α/σ, and x₀ is `first` at u = 0
    grown = second * (v - u) + (second - first) / u * (v - u) ** 2 / 2
    expected = points[2].sigma * (before / points[1].sigma + grown)
    assert torch.allclose(drive(plan, X, oracle.answer), expected, rtol=1e-12)


@pytest.mark.parametrize("scheduler", [DPMpp2MSDE(), DPMpp3MSDE(), DPMppSDE(), DPMpp2SAncestral()])
def test_backwards_there_is_no_noise(scheduler: Scheduler) -> None:
    plan = on(scheduler, SD).reversed()
    assert torch.equal(drive(plan, X, DATA.answer, seed=1), drive(plan, X, DATA.answer, seed=2))


LONG = (-2.6, -1.4, -0.2, 1.0, 2.2)


def spread(scheduler: Scheduler, process: Process, variance: float, lams: Sequence[float]) -> float:
    """The variance at the end on N(0, variance), as a part of what it should be."""
    plan = Plan(scheduler, process, Prediction.V, tuple(process.at(lam=lam) for lam in lams))
    return float(kept_variance(plan, torch.tensor([variance], dtype=torch.float64)))


@pytest.mark.parametrize("process", [SD, EDM(), Flow()], ids=lambda process: process.kind)
@pytest.mark.parametrize("options", [{}, {"eta": 0.4}, {"eta": 0.0}, {"r": 0.3}, {"eta_rule": "ancestral", "eta": 0.7}])
@pytest.mark.parametrize("scheduler", [DPMppSDE, DPMpp2SAncestral])
def test_long_single_steps_keep_the_variance_of_normal_data(
    scheduler: type[DPMppSDE | DPMpp2SAncestral], options: dict[str, Any], process: Process
) -> None:
    assert spread(scheduler(guard=False, **options), process, 1.0, LONG) == pytest.approx(1.0, rel=1e-12)
    assert spread(scheduler(guard=False, fitted=False, **options), process, 1.0, LONG) != pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("scheduler", [DPMppSDE, DPMpp2SAncestral])
def test_they_lose_less_of_other_variances_too(scheduler: type[DPMppSDE | DPMpp2SAncestral]) -> None:
    for variance in (0.2, 0.5, 2.0, 5.0):
        fitted, before = (
            abs(spread(scheduler(guard=False, fitted=on), SD, variance, LONG) - 1) for on in (True, False)
        )
        assert fitted < 0.5 * before


def test_a_long_ancestral_step_goes_no_further_down_than_2_in_lambda() -> None:
    """Its second evaluation lies halfway; without ``fitted``, halfway to where all of the noise is new."""
    points = SD.at(lam=-0.7), SD.at(lam=0.7)

    def halfway(scheduler: Scheduler) -> float:
        queries = Plan(scheduler, SD, Prediction.V, points).queries
        assert queries is not None
        return queries[1].point.lam - points[0].lam

    assert halfway(DPMpp2SAncestral()) == pytest.approx(1.0)
    assert halfway(DPMpp2SAncestral(fitted=False)) == pytest.approx(1.4)


def test_3m_sde_goes_as_2m_sde_where_the_way_down_is_longer_than_three_quarters_in_lambda() -> None:
    def end(scheduler: Scheduler, h: float) -> Tensor:
        return drive(on(scheduler, SD, tuple(-2.0 + h * i for i in range(6))), X, DATA.answer, seed=3)

    three, two = DPMpp3MSDE(guard=False, lower_order_final=False), DPMpp2MSDE(guard=False)
    before = three.model_copy(update={"steady": False})
    assert torch.equal(end(three, 0.38), end(two, 0.38))  # (1 + η)·h is .76
    assert not torch.allclose(end(before, 0.38), end(two, 0.38))
    assert torch.equal(end(three, 0.37), end(before, 0.37))
    ode = three.model_copy(update={"eta": 0.0})
    assert torch.equal(end(ode, 0.9), end(ode.model_copy(update={"steady": False}), 0.9))
