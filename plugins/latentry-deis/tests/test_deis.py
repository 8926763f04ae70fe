"""DEIS: the conformance suite, and its three variables in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Point, Prediction, Process, VariancePreserving
from latentry.testing import GaussianOracle, Oracle, SchedulerSuite, drive
from latentry_deis import DEIS

DATA = GaussianOracle(0.3, 0.4)
X = torch.tensor([[0.7, -1.1, 0.2]], dtype=torch.float64)


class TestDEIS(SchedulerSuite):
    scheduler = "deis"


class Given(Oracle):
    """A network whose ε is a function of the level alone."""

    def __init__(self, eps: Callable[[Point], float]) -> None:
        self.eps = eps

    def predict(self, x: Tensor, point: Point) -> tuple[Tensor, Tensor]:
        eps = torch.full_like(x, self.eps(point))
        return (x - point.sigma * eps) / point.alpha, eps

    def path(self, x: Tensor, start: Point, end: Point) -> Tensor:
        raise NotImplementedError


def grown(scheduler: DEIS, process: Process, levels: tuple[float, ...], oracle: Oracle) -> Tensor:
    """How much x/α grows in the last step."""
    points = tuple(process.at(s=s) for s in levels)
    plan = Plan(scheduler, process, Prediction.EPSILON, points)
    before, after = (drive(p, X, oracle.answer) for p in (plan[:-1], plan))
    return after / points[-1].alpha - before / points[-2].alpha


LEVELS = (4.0, 3.0, 2.2, 1.4, 0.9)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_log_rho_is_exact_for_polynomials_in_log_rho(order: int) -> None:
    oracle = Given(lambda p: math.log(p.s) ** (order - 1))
    scheduler = DEIS(order=order, lower_order_final=False)
    # ∫ log(ρ)^n dρ
    integrals = (
        lambda s, log: s,
        lambda s, log: s * (log - 1),
        lambda s, log: s * (log**2 - 2 * log + 2),
        lambda s, log: s * (log**3 - 3 * log**2 + 6 * log - 6),
    )
    integral = integrals[order - 1]
    expected = integral(0.9, math.log(0.9)) - integral(1.4, math.log(1.4))
    found = grown(scheduler, EDM(), LEVELS, oracle)
    assert torch.allclose(found, torch.full_like(X, expected), rtol=1e-11)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_rho_is_adams_and_bashforth(order: int) -> None:
    rules = {2: (3 / 2, -1 / 2), 3: (23 / 12, -16 / 12, 5 / 12), 4: (55 / 24, -59 / 24, 37 / 24, -9 / 24)}
    even = (3.0, 2.5, 2.0, 1.5, 1.0)
    oracle = Given(lambda p: math.sin(p.s))
    expected = -0.5 * sum(w * math.sin(s) for w, s in zip(rules[order], (1.5, 2.0, 2.5, 3.0), strict=False))
    scheduler = DEIS(order=order, variable="rho", lower_order_final=False)
    assert torch.allclose(grown(scheduler, EDM(), even, oracle), torch.full_like(X, expected), rtol=1e-11)


def test_t_is_exact_for_lines_in_the_models_time() -> None:
    oracle = Given(lambda p: p.timestep)
    # ∫ t dρ with ρ = t/(1 − t)
    integral = lambda s: 1000 * (s - math.log1p(s))  # noqa: E731
    expected = integral(0.9) - integral(1.4)
    scheduler = DEIS(order=2, variable="t", lower_order_final=False)
    assert torch.allclose(grown(scheduler, Flow(), LEVELS, oracle), torch.full_like(X, expected), rtol=1e-11)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_t_and_log_rho_are_one_on_edm(order: int) -> None:
    found = [
        grown(DEIS(order=order, variable=v, lower_order_final=False), EDM(), LEVELS, DATA)  # type: ignore[arg-type]
        for v in ("t", "log-rho")
    ]
    assert torch.allclose(*found, rtol=1e-10)


@pytest.mark.parametrize("process", [VariancePreserving.from_betas().zero_terminal_snr(), Flow()])
@pytest.mark.parametrize("variable", ["log-rho", "rho", "t"])
def test_runs_from_pure_noise_arrive(process: Process, variable: str) -> None:
    points = (process.noisiest, *(process.at(s=s) for s in LEVELS), process.clean())
    plan = Plan(DEIS(variable=variable), process, Prediction.V, points)  # type: ignore[arg-type]
    data = GaussianOracle(0.3, 0.0)
    assert torch.allclose(drive(plan, X, data.answer), torch.full_like(X, 0.3), rtol=1e-12)


def test_in_t_the_evaluation_at_pure_noise_counts() -> None:
    process = Flow()
    points = (process.noisiest, process.at(timestep=800), process.at(timestep=600))
    plan = Plan(DEIS(order=2, variable="t", lower_order_final=False), process, Prediction.FLOW, points)
    before = drive(plan[:1], X, DATA.answer)
    first, second = DATA.predict(X, points[0])[1], DATA.predict(before, points[1])[1]
    slope = (first - second) / 0.2
    # ∫ ε dρ with ε linear in t: ∫ (t − 0.8) dρ from t = 0.8 to 0.6, ρ = t/(1 − t), ∫ t dρ = ρ − log(1 + ρ)
    part = (1.5 - math.log(2.5)) - (4.0 - math.log(5.0)) - 0.8 * (1.5 - 4.0)
    expected = 0.4 * (before / 0.2 + second * (1.5 - 4.0) + slope * part)
    assert torch.allclose(drive(plan, X, DATA.answer), expected, rtol=1e-10)
