"""TCD: the conformance suite, and its step in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentry import Flow, Plan, Prediction, Process, VariancePreserving
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry_tcd import TCD

SD = VariancePreserving.from_betas()
PROCESSES = {"vp": (SD, Prediction.V), "flow": (Flow(), Prediction.FLOW)}


class TestTCD(SchedulerSuite):
    scheduler = "tcd"


def parts(gamma: float, process: Process, prediction: Prediction, *timesteps: float) -> tuple[Plan, list[float]]:
    """How much of the start's noise and of the draws is in the result, for data that is one point."""
    plan = Plan(TCD(gamma=gamma), process, prediction, tuple(process.at(timestep=t) for t in timesteps))
    start, end = plan.points[0], plan.points[-1]
    columns = torch.eye(2, dtype=torch.float64)
    x = start.alpha * 0.7 + start.sigma * columns[:1]
    found: Tensor = drive(plan, x, GaussianOracle(0.7, 0.0).answer, noise=lambda *_: columns[1:])
    return plan, (found - end.alpha * 0.7)[0].tolist()


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("gamma", [0.2, 0.5, 1.0])
def test_what_is_kept_is_the_noise_of_the_cleaner_timestep(gamma: float, name: str) -> None:
    """Algorithm 4: x_s at s = (1 − γ)·t, then q(x_t | x_s)."""
    process, prediction = PROCESSES[name]
    plan, (kept, fresh) = parts(gamma, process, prediction, 900, 500)
    end, cleaner = plan.points[1], process.at(timestep=(1 - gamma) * 500)
    ratio = end.alpha / cleaner.alpha
    assert kept == pytest.approx(ratio * cleaner.sigma, rel=1e-12, abs=1e-15)
    assert fresh == pytest.approx(math.sqrt(end.sigma**2 - (ratio * cleaner.sigma) ** 2), rel=1e-12)


@pytest.mark.parametrize("name", PROCESSES)
def test_without_gamma_it_is_ddim(name: str) -> None:
    plan, (kept, fresh) = parts(0.0, *PROCESSES[name], 900, 500)
    assert (kept, fresh) == (pytest.approx(plan.points[1].sigma), pytest.approx(0.0, abs=1e-15))


def test_below_the_table_nothing_is_noised() -> None:
    """No timestep is cleaner than 0, where the table ends."""
    plan, (kept, fresh) = parts(0.5, SD, Prediction.V, 500, 0)
    assert (kept, fresh) == (pytest.approx(plan.points[1].sigma), pytest.approx(0.0, abs=1e-9))
