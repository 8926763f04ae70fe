"""ER-SDE: the conformance suite, φ, and its weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Prediction, Process, Query, VariancePreserving
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry_er_sde import ERSDE

SD = VariancePreserving.from_betas()
PROCESSES = {"vp": (SD, Prediction.V), "flow": (Flow(), Prediction.FLOW), "edm": (EDM(), Prediction.EDM)}


class TestERSDE(SchedulerSuite):
    scheduler = "er-sde"


def phi(s: float) -> float:
    """φ of the paper, section 4.3."""
    return s * (math.exp(s**0.3) + 10.0)


def parts(scheduler: ERSDE, process: Process, prediction: Prediction, *levels: float) -> tuple[Plan, Tensor]:
    """How much of the start's noise and of each draw is in the result, for data that is one point."""
    plan = Plan(scheduler, process, prediction, tuple(process.at(s=s) for s in levels))
    columns = torch.eye(len(plan) + 1, dtype=torch.float64)
    x = plan.points[0].alpha * 0.7 + plan.points[0].sigma * columns[:1]
    noise = lambda like, interval, draw, clock: columns[interval + 1][None]  # noqa: E731
    found = drive(plan, x, GaussianOracle(0.7, 0.0).answer, noise=noise)
    return plan, (found - plan.points[-1].alpha * 0.7)[0]


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("options", [{}, {"order": 1}, {"phi": "power", "eta": 0.5}], ids=str)
def test_the_noise_adds_up_to_sigma_on_every_process(options: dict[str, object], name: str) -> None:
    plan, found = parts(ERSDE.model_validate({"guard": False, **options}), *PROCESSES[name], 9.0, 3.0, 2.5, 0.4)
    assert float(found.square().sum()) == pytest.approx(plan.points[-1].sigma ** 2, rel=1e-12)


@pytest.mark.parametrize("name", PROCESSES)
def test_what_is_kept_is_the_ratio_of_phi(name: str) -> None:
    plan, found = parts(ERSDE(), *PROCESSES[name], 3.0, 2.0)
    assert float(found[0]) == pytest.approx(plan.points[1].alpha * 3.0 * phi(2.0) / phi(3.0), rel=1e-12)
    plan, found = parts(ERSDE(phi="power", eta=1.0), *PROCESSES[name], 3.0, 2.0)
    assert float(found[0]) == pytest.approx(plan.points[1].alpha * 2.0**2 / 3.0, rel=1e-12)


def test_from_pure_noise_all_noise_is_new_unless_it_is_an_ode() -> None:
    plan, found = parts(ERSDE(), Flow(), Prediction.FLOW, math.inf, 2.0)
    assert found.tolist() == pytest.approx([0.0, plan.points[1].sigma], abs=1e-12)
    plan, found = parts(ERSDE(phi="power", eta=0.0), Flow(), Prediction.FLOW, math.inf, 2.0)
    assert found.tolist() == pytest.approx([plan.points[1].sigma, 0.0], abs=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_x0_that_is_a_polynomial_in_s_is_integrated_exactly(degree: int) -> None:
    """With DDPM's φ = s²: φ(s_end)·∫ φ′/φ²·sᵏ ds = s_end²·∫ 2·s^(k − 3) ds, in closed form."""
    levels = (5.0, 4.2, 3.9, 2.0)
    plan = Plan(ERSDE(guard=False, phi="power", eta=1.0), EDM(), Prediction.X0, tuple(EDM().at(s=s) for s in levels))
    x0 = lambda query, plan: torch.full_like(query.x, _level(query) ** degree)  # noqa: E731
    silent = lambda like, *_: torch.zeros_like(like)  # noqa: E731
    x = torch.zeros(1, 1, dtype=torch.float64)
    before = float(drive(plan[:-1], x, x0, noise=silent))
    found = float(drive(plan, x, x0, noise=silent)) - (2.0 / 3.9) ** 2 * before
    a, b, k = 3.9, 2.0, degree
    exact = 2 * b * b * (math.log(a / b) if k == 2 else (a ** (k - 2) - b ** (k - 2)) / (k - 2))
    assert found == pytest.approx(exact, rel=1e-10)


def _level(query: Query) -> float:
    return query.point.s
