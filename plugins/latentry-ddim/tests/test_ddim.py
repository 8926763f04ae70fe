"""DDIM: the conformance suite, the equations in the paper's own symbols, exact variances, inversion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import Flow, Plan, Point, Prediction, Process, Query, VariancePreserving
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry_ddim import DDIM

SD = VariancePreserving.from_betas()
ALPHAS = SD.alphas_cumprod


class TestDDIM(SchedulerSuite):
    scheduler = "ddim"


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def always(value: Tensor) -> Callable[[Query, Plan], Tensor]:
    """A network that always gives the same output."""
    return lambda query, plan: value


def even_levels(count: int, begin: float, end: float) -> tuple[Point, ...]:
    """At equal distances in λ, given as σ/α."""
    return tuple(SD.at(s=begin * (end / begin) ** (i / count)) for i in range(count + 1))


def test_one_step_is_equation_12() -> None:
    x, eps = noise(5), noise(5, seed=1)
    before, after = ALPHAS[801], ALPHAS[601]
    expected = math.sqrt(after) * (x - math.sqrt(1 - before) * eps) / math.sqrt(before) + math.sqrt(1 - after) * eps
    plan = Plan(DDIM(), SD, Prediction.EPSILON, (SD.at(timestep=801), SD.at(timestep=601)))
    assert torch.allclose(drive(plan, x, always(eps)), expected, rtol=1e-12, atol=1e-12)


def one_step(eta: float, start: Point, end: Point, process: Process) -> tuple[float, float, float]:
    """A step's coefficients of x, of x₀ and of the noise, read off unit vectors."""
    plan = Plan(DDIM(eta=eta), process, Prediction.X0, (start, end))
    unit = torch.eye(3, dtype=torch.float64)
    x, x0, z = (row[None] for row in unit)
    on_x, on_x0, on_noise = drive(plan, x, always(x0), noise=lambda *_: z)[0].tolist()
    return on_x, on_x0, on_noise


@pytest.mark.parametrize(("t", "u"), [(999, 949), (951, 901), (501, 1), (1, 0)])
def test_full_stochasticity_is_the_posterior_of_ddpm(t: int, u: int) -> None:
    """Ho et al. 2020, arXiv:2006.11239, eqs. 6 and 7, for a step from t to u of the table."""
    before, after = ALPHAS[t], ALPHAS[u]
    alpha = before / after
    on_x, on_x0, on_noise = one_step(1.0, SD.at(timestep=t), SD.at(timestep=u), SD)
    assert on_x == pytest.approx(math.sqrt(alpha) * (1 - after) / (1 - before), rel=1e-10)
    assert on_x0 == pytest.approx(math.sqrt(after) * (1 - alpha) / (1 - before), rel=1e-10)
    assert on_noise**2 == pytest.approx((1 - after) / (1 - before) * (1 - alpha), rel=1e-10)


@pytest.mark.parametrize("eta", [0.0, 0.25, 0.7, 1.0])
@pytest.mark.parametrize("process", [SD, Flow()], ids=["vp", "flow"])
def test_a_step_keeps_the_marginal_at_every_stochasticity(process: Process, eta: float) -> None:
    """With the true x₀ the end has α·x₀ plus noise of σ², however that is split into old and new (eq. 7)."""
    start, end = process.at(s=3.0), process.at(s=1.1)
    on_x, on_x0, on_noise = one_step(eta, start, end, process)
    assert on_x * start.alpha + on_x0 == pytest.approx(end.alpha, rel=1e-12)
    assert (on_x * start.sigma) ** 2 + on_noise**2 == pytest.approx(end.sigma**2, rel=1e-12)


@pytest.mark.parametrize("eta", [0.25, 1.0])
def test_the_new_noise_is_that_of_equation_16(eta: float) -> None:
    before, after = ALPHAS[801], ALPHAS[601]
    _, _, on_noise = one_step(eta, SD.at(timestep=801), SD.at(timestep=601), SD)
    assert on_noise == pytest.approx(eta * math.sqrt((1 - after) / (1 - before) * (1 - before / after)), rel=1e-10)


def variance(steps: int) -> float:
    """Relative error of the variance of the result on N(0, ¼), exact: the start and each draw are unit vectors."""
    points = even_levels(steps, 14.6, 0.029)
    unit = torch.eye(steps + 1, dtype=torch.float64)
    plan = Plan(DDIM(eta=1.0), SD, Prediction.V, points)
    gains = drive(plan, unit[:1], GaussianOracle(0.0, 0.25).answer, noise=lambda like, i, *_: unit[i + 1][None])[0]
    begun, truth = (point.alpha**2 * 0.25 + point.sigma**2 for point in (points[0], points[-1]))
    return float(gains[0] ** 2 * begun + gains[1:].square().sum()) / truth - 1


def test_full_stochasticity_loses_variance_as_ancestral_euler_does() -> None:
    """The expected figures come from another implementation of ancestral Euler on the same grid."""
    assert {n: variance(n) for n in (20, 80)} == pytest.approx({20: -0.255, 80: -0.0736}, abs=5e-4)


def test_the_draw_is_keyed_by_step_and_none_is_made_without_need() -> None:
    asked: list[tuple[int, int]] = []

    def source(like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
        asked.append((interval, draw))
        return torch.zeros_like(like)

    for eta in (0.0, 0.5):
        plan = DDIM(eta=eta).plan(process=SD, prediction=Prediction.V, sigmas=(9.0, 3.0, 1.0))
        drive(plan, noise(1, 2), GaussianOracle().answer, noise=source)
    assert asked == [(0, 0), (1, 0)]  # the last step ends at σ = 0, where no noise is left


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_going_up_the_reversed_grid_undoes_going_down_for_a_fixed_answer(eta: float) -> None:
    answer = always(noise(2, 3, seed=1))
    down = DDIM().plan(process=SD, prediction=Prediction.X0, sigmas=(14.0, 4.0, 1.0, 0.2))[:3]
    up = replace(down, scheduler=DDIM(eta=eta)).reversed()
    x = noise(2, 3)
    assert torch.allclose(drive(up, drive(down, x, answer), answer), x, rtol=0, atol=1e-12)


def test_inversion_and_back_converges_to_where_it_began() -> None:
    """Section 4.3, with order 1: four times the steps, a quarter of the error."""
    data, errors = GaussianOracle(0.3, 0.25), {}
    for steps in (50, 200):
        down = Plan(DDIM(), SD, Prediction.V, even_levels(steps, 14.0, 0.05))
        x = 0.3 + 0.5 * noise(32)
        back = drive(down, drive(down.reversed(), x, data.answer), data.answer)
        errors[steps] = float((back - x).abs().max() / x.abs().max())
    assert errors[50] < 0.05
    assert 3.0 < errors[50] / errors[200] < 5.5


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan"), "much"])
def test_an_invalid_stochasticity_is_refused(eta: object) -> None:
    with pytest.raises(ValueError, match="eta"):
        DDIM(eta=eta)  # type: ignore[arg-type]


def test_the_stepwise_interface_works_with_it() -> None:
    built = DDIM().build(20)
    assert len(built.timesteps) == 20
    assert built.plan.points[-1] == SD.cleanest
