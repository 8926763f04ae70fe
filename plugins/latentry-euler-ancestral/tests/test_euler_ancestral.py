"""Euler ancestral: the conformance suite, and its noise in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Point, Prediction, Process, VariancePreserving
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry_euler_ancestral import EulerAncestral

SD = VariancePreserving.from_betas()
PROCESSES = {"vp": (SD, Prediction.V), "flow": (Flow(), Prediction.FLOW), "edm": (EDM(), Prediction.EDM)}
POINT = GaussianOracle(0.7, 0.0)
"""Data that is one point, so that ε is the noise that is really there."""


class TestEulerAncestral(SchedulerSuite):
    scheduler = "euler-ancestral"


def parts(scheduler: EulerAncestral, process: Process, prediction: Prediction, points: tuple[Point, ...]) -> Tensor:
    """How much of the start's noise and of each draw is in the result, above α·x₀."""
    plan = Plan(scheduler, process, prediction, points)
    columns = torch.eye(len(plan) + 1, dtype=torch.float64)
    x = plan.points[0].alpha * 0.7 + plan.points[0].sigma * columns[:1]
    noise = lambda like, interval, draw, clock: columns[interval + 1][None]  # noqa: E731
    return (drive(plan, x, POINT.answer, noise=noise) - plan.points[-1].alpha * 0.7)[0]


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("rule", ["ancestral", "sde"])
@pytest.mark.parametrize("eta", [0.3, 1.0, 1.7, 5.0])
def test_the_noise_adds_up_to_sigma_on_every_process(eta: float, rule: str, name: str) -> None:
    process, prediction = PROCESSES[name]
    points = tuple(process.at(s=s) for s in (9.0, 3.0, 2.5, 0.4))
    found = parts(EulerAncestral(eta=eta, eta_rule=rule), process, prediction, points)  # type: ignore[arg-type]
    assert float(found.square().sum()) == pytest.approx(points[-1].sigma ** 2, rel=1e-12)


@pytest.mark.parametrize(("process", "prediction"), [(Flow(), Prediction.FLOW), (SD.zero_terminal_snr(), Prediction.V)])
def test_nothing_of_pure_noise_is_kept(process: Process, prediction: Prediction) -> None:
    points = (process.noisiest, process.at(s=2.0))
    kept, fresh = parts(EulerAncestral(), process, prediction, points).tolist()
    assert kept == pytest.approx(0.0, abs=1e-15)
    assert fresh == pytest.approx(points[1].sigma)


@pytest.mark.parametrize("name", PROCESSES)
def test_the_two_rules_of_eta(name: str) -> None:
    process, prediction = PROCESSES[name]
    points = (process.at(s=3.0), process.at(s=2.0))
    r, sigma = 2.0 / 3.0, points[1].sigma
    _, ancestral = parts(EulerAncestral(eta=0.5), process, prediction, points).tolist()
    kept, _ = parts(EulerAncestral(eta=0.5, eta_rule="sde"), process, prediction, points).tolist()
    assert ancestral == pytest.approx(sigma * 0.5 * math.sqrt(1 - r**2))
    assert kept == pytest.approx(sigma * r**0.5)


def test_the_scale_is_of_the_fresh_noise_alone() -> None:
    points = (Flow().at(s=3.0), Flow().at(s=2.0))
    plain = parts(EulerAncestral(), Flow(), Prediction.FLOW, points)
    scaled = parts(EulerAncestral(noise_scale=1.1), Flow(), Prediction.FLOW, points)
    assert torch.allclose(scaled, plain * torch.tensor([1.0, 1.1], dtype=torch.float64))


def test_going_back_to_noise_is_without_draws() -> None:
    points = (Flow().at(s=0.5), Flow().at(s=2.0))
    assert parts(EulerAncestral(), Flow(), Prediction.FLOW, points).tolist() == pytest.approx([points[1].sigma, 0.0])
