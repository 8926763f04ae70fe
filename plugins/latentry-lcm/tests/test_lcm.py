"""LCM: the conformance suite, and its step in closed form."""

from __future__ import annotations

import pytest
import torch

from latentry import EDM, Flow, Plan, Prediction, Process, VariancePreserving
from latentry.testing import SchedulerSuite, drive
from latentry_lcm import LCM

SD = VariancePreserving.from_betas()
X = torch.tensor([[0.7, -1.1, 0.2]], dtype=torch.float64)
X0 = torch.tensor([[0.9, 0.1, -0.4]], dtype=torch.float64)
Z = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)


class TestLCM(SchedulerSuite):
    scheduler = "lcm"


def run(scheduler: LCM, process: Process, *levels: float) -> torch.Tensor:
    """With x₀ as the network's own output, the same everywhere."""
    plan = Plan(scheduler, process, Prediction.X0, tuple(process.at(s=s) for s in levels))
    return drive(plan, X, lambda query, plan: X0, noise=lambda *_: Z)


@pytest.mark.parametrize("process", [SD, Flow(), EDM()])
def test_a_step_is_x0_noised_to_its_end(process: Process) -> None:
    end = process.at(s=0.8)
    assert torch.allclose(run(LCM(), process, 4.0, 2.0, 0.8), end.alpha * X0 + end.sigma * Z, rtol=1e-12)
    assert torch.equal(run(LCM(), process, 4.0, 2.0, 0.0), X0)


@pytest.mark.parametrize("timestep", [0, 1, 259])
def test_the_boundary_condition_is_equation_9(timestep: int) -> None:
    """c_skip = σ_d²/((10·t)² + σ_d²) and c_out = 10·t/√((10·t)² + σ_d²): x itself at t = 0."""
    plan = Plan(LCM(timestep_scaling=10.0), SD, Prediction.X0, (SD.at(timestep=timestep), SD.clean()))
    found = drive(plan, X, lambda query, plan: X0)
    t = 10.0 * timestep
    assert torch.allclose(found, 0.25 / (t * t + 0.25) * X + t / (t * t + 0.25) ** 0.5 * X0, rtol=1e-12)
    if timestep == 0:
        assert torch.equal(found, X)


@pytest.mark.parametrize("process", [Flow(), EDM()])
def test_without_discrete_timesteps_there_is_no_boundary_condition(process: Process) -> None:
    assert torch.equal(run(LCM(timestep_scaling=10.0), process, 4.0, 0.0), X0)
