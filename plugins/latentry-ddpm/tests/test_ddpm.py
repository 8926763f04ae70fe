"""DDPM: the conformance suite, and the two variances where each is exact."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Prediction, Process, VariancePreserving
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry_ddpm import DDPM

SD = VariancePreserving.from_betas()
PROCESSES = {"vp": (SD, Prediction.V), "flow": (Flow(), Prediction.FLOW), "edm": (EDM(), Prediction.EDM)}
LEVELS = (9.0, 2.0, 1.8, 0.3)


class TestDDPM(SchedulerSuite):
    scheduler = "ddpm"


def gains(plan: Plan, oracle: GaussianOracle) -> Tensor:
    """How much the result moves with the start and with each draw."""
    columns = torch.eye(len(plan) + 1, dtype=torch.float64)
    noise = lambda like, interval, draw, clock: columns[interval + 1][None]  # noqa: E731
    moved = drive(plan, columns[:1], oracle.answer, noise=noise)
    return (moved - drive(plan, torch.zeros_like(columns[:1]), oracle.answer, noise=lambda x, *_: 0.0 * x))[0]


def variance(scheduler: DDPM, process: Process, prediction: Prediction, data: float) -> tuple[float, float]:
    """The variance of the result and the exact one, for data N(0, ``data``)."""
    plan = Plan(scheduler, process, prediction, tuple(process.at(s=s) for s in LEVELS))
    start, end = plan.points[0], plan.points[-1]
    squares = gains(plan, GaussianOracle(0.0, data)).square()
    begun = start.alpha**2 * data + start.sigma**2
    return float(squares[0] * begun + squares[1:].sum()), end.alpha**2 * data + end.sigma**2


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize(("kind", "data"), [("small", 0.0), ("large", 1.0)])
def test_each_variance_is_exact_for_its_data_at_any_stride(kind: str, data: float, name: str) -> None:
    """Section 3.2: β̃ for x₀ that is one point, β for x₀ ~ N(0, 1)."""
    found, truth = variance(DDPM(variance=kind), *PROCESSES[name], data)  # type: ignore[arg-type]
    assert found == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("name", PROCESSES)
def test_the_two_variances_bound_the_truth_between(name: str) -> None:
    (small, truth), (large, _) = (variance(DDPM(variance=kind), *PROCESSES[name], 0.4) for kind in ("small", "large"))  # type: ignore[arg-type]
    assert small < truth < large


def test_one_timestep_is_equation_7() -> None:
    """In the paper's own symbols, with ᾱ and β from the table."""
    points = (SD.at(timestep=500), SD.at(timestep=499))
    now, before = (SD.alphas_cumprod[t] for t in (500, 499))
    beta = 1 - now / before
    on_x0, on_x = before**0.5 * beta / (1 - now), (1 - beta) ** 0.5 * (1 - before) / (1 - now)
    plan = Plan(DDPM(), SD, Prediction.X0, points)
    x, x0 = torch.tensor([[0.3, -1.2]], dtype=torch.float64), torch.tensor([[0.9, 0.1]], dtype=torch.float64)
    z = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    found = drive(plan, x, lambda query, plan: x0, noise=lambda *_: z)
    deviation = ((1 - before) / (1 - now) * beta) ** 0.5
    assert torch.allclose(found, on_x0 * x0 + on_x * x + deviation * z, rtol=1e-10)
    large = drive(
        Plan(DDPM(variance="large"), SD, Prediction.X0, points), x, lambda query, plan: x0, noise=lambda *_: z
    )
    assert torch.allclose(large - found, (beta**0.5 - deviation) * z, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", ["small", "large"])
def test_the_last_step_has_no_noise(kind: str) -> None:
    """Algorithm 2, line 3: z = 0 if t = 1."""
    points = (*(SD.at(s=s) for s in LEVELS), SD.clean())
    drawn: list[int] = []

    def noise(like: Tensor, interval: int, draw: int, clock: tuple[float, float] | None) -> Tensor:
        drawn.append(interval)
        return torch.ones_like(like)

    plan = Plan(DDPM(variance=kind), SD, Prediction.V, points)  # type: ignore[arg-type]
    drive(plan, torch.ones(1, 1, dtype=torch.float64), GaussianOracle(0.0, 1.0).answer, noise=noise)
    assert drawn == list(range(len(plan) - 1))
    assert all(a.s > b.s for a, b in pairwise(points))
