"""DDIM against closed forms: the Gaussian's probability flow, the DDPM posterior, exact variances and inversion."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.oracles import PROCESSES, SD, ZTSNR, Gaussian, even_levels, finish, noise, relative, slope
from torch import Tensor

from latentry import Flow, Plan, PluginHost, Point, Prediction, Process
from latentry_ddim import DDIM

ORACLE = Gaussian(mean=0.3, std=0.5)
ON_EVERY_PROCESS = pytest.mark.parametrize(("process", "prediction"), PROCESSES.values(), ids=PROCESSES)


def error(process: Process, prediction: Prediction, steps: int) -> float:
    """Against the exact path between σ/α of 14 and 0.03."""
    points = even_levels(process, steps, 14.0, 0.03)
    x = noise(64) * points[0].sigma
    run = Plan(DDIM(), process, prediction, points).start(x)
    return relative(finish(run, ORACLE.network(prediction, process.data_std)), ORACLE.path(x, points[0], points[-1]))


@ON_EVERY_PROCESS
def test_it_converges_to_the_probability_flow_with_order_1(process: Process, prediction: Prediction) -> None:
    errors = {steps: error(process, prediction, steps) for steps in (40, 80, 160)}
    assert slope(errors) == pytest.approx(1.0, abs=0.05)
    assert errors[160] < 0.02


def test_one_step_is_equation_12() -> None:
    start, end = SD.at(timestep=801), SD.at(timestep=601)
    x, eps = noise(5), noise(5, seed=1)
    before, after = SD.alphas_cumprod[801], SD.alphas_cumprod[601]
    expected = math.sqrt(after) * (x - math.sqrt(1 - before) * eps) / math.sqrt(before) + math.sqrt(1 - after) * eps
    found = finish(Plan(DDIM(), SD, Prediction.EPSILON, (start, end)).start(x), lambda query: eps)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("process", [ZTSNR, Flow()], ids=["ztsnr", "flow"])
def test_it_arrives_exactly_from_pure_noise(process: Process, steps: int, eta: float) -> None:
    prediction = Prediction.FLOW if process.kind == "flow" else Prediction.V
    inner = even_levels(process, max(steps - 2, 1), 8.0, 0.1)[: steps - 1]
    plan = Plan(DDIM(eta=eta), process, prediction, (process.noisiest, *inner, process.clean()))
    assert len(plan) == steps
    run, network, last = plan.start(noise(16)), ORACLE.network(prediction), torch.zeros(16)
    while (query := run.query) is not None:
        output = network(query)
        last = run.denoise(output).x0
        run.advance(output)
    assert bool(run.sample.isfinite().all())
    assert torch.equal(run.sample, last)


def one_step(eta: float, start: Point, end: Point, process: Process) -> tuple[float, float, float]:
    """A step's coefficients of x, of x₀ and of the noise, read off unit vectors."""
    plan = Plan(DDIM(eta=eta), process, Prediction.X0, (start, end))

    def run(x: float, x0: float, z: float) -> float:
        def source(like: Tensor, *_: Any) -> Tensor:
            return torch.full_like(like, z)

        begun = plan.start(torch.tensor([x], dtype=torch.float64), noise=source)
        return float(finish(begun, lambda query: torch.tensor([x0], dtype=torch.float64)))

    return run(1, 0, 0), run(0, 1, 0), run(0, 0, 1)


@pytest.mark.parametrize(("t", "u"), [(999, 949), (951, 901), (501, 1), (1, 0)])
def test_full_stochasticity_is_the_posterior_of_ddpm(t: int, u: int) -> None:
    """Ho et al. 2020, arXiv:2006.11239, eqs. 6 and 7, for a step from t to u of the table."""
    before, after = SD.alphas_cumprod[t], SD.alphas_cumprod[u]
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
    before, after = SD.alphas_cumprod[801], SD.alphas_cumprod[601]
    _, _, on_noise = one_step(eta, SD.at(timestep=801), SD.at(timestep=601), SD)
    assert on_noise == pytest.approx(eta * math.sqrt((1 - after) / (1 - before) * (1 - before / after)), rel=1e-10)


def variance(steps: int, eta: float) -> float:
    """Relative error of the result's variance on N(0, std²), exact: from one unit of each noise at a time."""
    oracle = Gaussian(mean=0.0, std=0.5)
    points = even_levels(SD, steps, 14.6, 0.029)
    plan = Plan(DDIM(eta=eta), SD, Prediction.V, points)

    def answer(x: float, slot: int | None) -> float:
        def source(like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
            return torch.full_like(like, float(interval == slot))

        begun = plan.start(torch.tensor([x], dtype=torch.float64), noise=source)
        return float(finish(begun, oracle.network(Prediction.V)))

    started = oracle.variance(points[0]) * answer(1.0, None) ** 2
    found = started + sum(answer(0.0, slot) ** 2 for slot in range(steps))
    return found / oracle.variance(points[-1]) - 1


def test_full_stochasticity_loses_variance_with_weak_order_1() -> None:
    """The figures are those of ancestral Euler, measured with another implementation on the same grid."""
    errors = {steps: variance(steps, 1.0) for steps in (20, 80)}
    assert errors == pytest.approx({20: -0.255, 80: -0.0736}, abs=5e-4)


def test_the_draw_is_keyed_by_step_and_none_is_made_without_need() -> None:
    asked: list[tuple[int, int]] = []

    def source(like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
        asked.append((interval, draw))
        return torch.zeros_like(like)

    for eta in (0.0, 0.5):
        plan = DDIM(eta=eta).plan(process=SD, prediction=Prediction.V, sigmas=(9.0, 3.0, 1.0))
        finish(plan.start(noise(1, 2), noise=source), ORACLE.network(Prediction.V))
    assert asked == [(0, 0), (1, 0)]  # the last step ends at σ = 0, where no noise is left


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_going_up_the_reversed_grid_undoes_going_down_for_a_fixed_answer(eta: float) -> None:
    x0 = noise(2, 3, seed=1)
    down = DDIM().plan(process=SD, prediction=Prediction.X0, sigmas=(14.0, 4.0, 1.0, 0.2))[:3]
    up = replace(down, scheduler=DDIM(eta=eta)).reversed()
    x = noise(2, 3)
    assert torch.allclose(
        finish(up.start(finish(down.start(x), lambda query: x0)), lambda query: x0), x, rtol=0, atol=1e-12
    )


def test_inversion_and_back_converges_to_where_it_began() -> None:
    network, errors = ORACLE.network(Prediction.V), {}
    for steps in (50, 200):
        down = Plan(DDIM(), SD, Prediction.V, even_levels(SD, steps, 14.0, 0.05))
        x = ORACLE.mean + 0.5 * noise(32)
        errors[steps] = relative(finish(down.start(finish(down.reversed().start(x), network)), network), x)
    assert errors[50] < 0.05
    assert slope(errors) == pytest.approx(1.0, abs=0.25)


def test_its_record_agrees_with_its_class() -> None:
    host = PluginHost()
    spec = host.schedulers["latentry-ddim:ddim"]
    assert host.schedulers.load("ddim") is DDIM
    plan = DDIM().plan(process=SD, prediction=Prediction.V, sigmas=tuple(9.0 - i / 2 for i in range(10)))
    assert plan.evaluations == 10 * spec.evaluations
    assert (spec.adaptive, spec.needs) == (DDIM.adaptive, DDIM.needs)
    assert host.schedulers["DDIMScheduler"] is spec


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan"), "much"])
def test_a_stochasticity_that_is_none_is_refused(eta: object) -> None:
    with pytest.raises(ValueError, match="eta"):
        DDIM(eta=eta)  # type: ignore[arg-type]


def test_the_stepwise_interface_stands_on_it() -> None:
    built = DDIM().build(20)
    assert len(built.timesteps) == 20
    assert built.plan.points[-1] == SD.cleanest
