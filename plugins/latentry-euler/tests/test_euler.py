"""Euler's method and churn against closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from support.oracles import PROCESSES, SD, ZTSNR, Gaussian, even_levels, finish, noise, relative, slope
from torch import Tensor

from latentry import EDM, Flow, IncompatibleError, Plan, PluginHost, Point, Prediction, Process
from latentry_euler import Euler

ORACLE = Gaussian(mean=0.3, std=0.5)
ON_EVERY_PROCESS = pytest.mark.parametrize(("process", "prediction"), PROCESSES.values(), ids=PROCESSES)
KINDS = pytest.mark.parametrize("process", [SD, Flow(), EDM()], ids=["vp", "flow", "edm"])


@ON_EVERY_PROCESS
def test_it_converges_to_the_probability_flow_with_order_1(process: Process, prediction: Prediction) -> None:
    errors = {}
    for steps in (40, 80, 160):
        points = even_levels(process, steps, 14.0, 0.03)
        x = noise(64) * points[0].sigma
        run = Plan(Euler(), process, prediction, points).start(x)
        found = finish(run, ORACLE.network(prediction, process.data_std))
        errors[steps] = relative(found, ORACLE.path(x, points[0], points[-1]))
    assert slope(errors) == pytest.approx(1.0, abs=0.05)


@KINDS
def test_a_step_is_eulers_in_sigma_over_alpha(process: Process) -> None:
    start, end = process.at(s=5.0), process.at(s=2.0)
    x, eps = noise(6), noise(6, seed=1)
    found = finish(Plan(Euler(), process, Prediction.EPSILON, (start, end)).start(x), lambda query: eps)
    expected = end.alpha * (x / start.alpha + (end.s - start.s) * eps)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_on_a_rectified_flow_it_is_eulers_in_t() -> None:
    flow, x, velocity = Flow(), noise(6), noise(6, seed=1)
    plan = Euler().plan(process=flow, prediction=Prediction.FLOW, sigmas=(1.0, 0.6))[:1]
    found = finish(plan.start(x), lambda query: velocity)
    assert torch.allclose(found, x + (0.6 - 1.0) * velocity, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("churn", [0.0, 20.0])
@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("process", [ZTSNR, Flow()], ids=["ztsnr", "flow"])
def test_it_arrives_exactly_from_pure_noise(process: Process, steps: int, churn: float) -> None:
    prediction = Prediction.FLOW if process.kind == "flow" else Prediction.V
    inner = even_levels(process, max(steps - 2, 1), 8.0, 0.1)[: steps - 1]
    plan = Plan(Euler(churn=churn), process, prediction, (process.noisiest, *inner, process.clean()))
    run, network, last = plan.start(noise(16)), ORACLE.network(prediction), torch.zeros(16)
    while (query := run.query) is not None:
        output = network(query)
        last = run.denoise(output).x0
        run.advance(output)
    assert bool(run.sample.isfinite().all())
    assert torch.equal(run.sample, last)


def levels(scheduler: Euler, process: Process, points: tuple[Point, ...]) -> list[tuple[Point, Point]]:
    """The level of each step's start, and the one it asked about."""
    plan = Plan(scheduler, process, Prediction.V, points)
    return [(plan.points[query.index], query.point) for query in plan.queries or ()]


@KINDS
def test_churn_raises_by_its_share_of_the_steps_and_at_most_by_the_square_root_of_2(process: Process) -> None:
    points = even_levels(process, 10, 10.0, 0.1)
    for churn, factor in ((1.0, 1.1), (4.0, 1.4), (5.0, math.sqrt(2)), (1000.0, math.sqrt(2))):
        pairs = levels(Euler(churn=churn), process, points)
        assert [asked.s / start.s for start, asked in pairs] == pytest.approx([factor] * 10, rel=1e-12)


@pytest.mark.parametrize("process", [SD, EDM()], ids=["vp", "edm"])
def test_churn_never_raises_above_the_noisiest_level(process: Process) -> None:
    top = process.noisiest
    inner = even_levels(process, 4, top.s / 2, 0.05)
    pairs = levels(Euler(churn=1000.0), process, (top, process.at(s=top.s / 1.2), *inner))
    assert pairs[0][1] == pairs[0][0]  # the noisiest cannot be raised
    assert pairs[1][1].s == pytest.approx(top.s, rel=1e-12)  # a factor of 1.2 is left
    assert all(asked.s == pytest.approx(math.sqrt(2) * start.s) for start, asked in pairs[2:])
    assert all(asked.lam >= top.lam for _, asked in pairs)


@pytest.mark.parametrize("process", [ZTSNR, Flow()], ids=["ztsnr", "flow"])
def test_pure_noise_is_not_churned_and_what_is_nearly_it_stays_below(process: Process) -> None:
    pairs = levels(Euler(churn=1000.0), process, (process.noisiest, *even_levels(process, 3, 500.0, 0.05)))
    assert pairs[0][1] == pairs[0][0]
    assert all(asked.alpha > 0.0 for _, asked in pairs[1:])


def test_churn_keeps_to_its_window() -> None:
    points = even_levels(SD, 8, 12.0, 0.1)
    pairs = levels(Euler(churn=100.0, churn_min=0.5, churn_max=5.0), SD, points)
    for start, asked in pairs:
        assert (asked != start) == (0.5 <= start.s <= 5.0)


@KINDS
@pytest.mark.parametrize("scale", [1.0, 1.003])
def test_the_added_noise_is_what_the_raised_level_lacks(process: Process, scale: float) -> None:
    """Line 6 of algorithm 2, by unit vectors: x̂ = x̄ + √(ŝ² − s²)·S_noise·ε."""
    plan = Plan(Euler(churn=3.0, churn_noise=scale), process, Prediction.V, even_levels(process, 10, 10.0, 0.1))

    def asked(x: float, z: float) -> tuple[float, Point]:
        def source(like: Tensor, *_: Any) -> Tensor:
            return torch.full_like(like, z)

        query = plan.start(torch.tensor([x], dtype=torch.float64), noise=source).query
        assert query is not None
        return float(query.x), query.point

    start = plan.points[0]
    on_x, raised = asked(1.0, 0.0)
    on_noise, _ = asked(0.0, 1.0)
    assert on_x == pytest.approx(raised.alpha / start.alpha, rel=1e-12)
    assert (on_noise / raised.alpha) ** 2 == pytest.approx(scale**2 * (raised.s**2 - start.s**2), rel=1e-10)


@KINDS
def test_with_churn_it_still_converges_in_distribution(process: Process) -> None:
    """Exactly, without drawing: the variance of the result on N(0, std²), from unit vectors in each noise slot."""
    oracle, errors = Gaussian(mean=0.0), {}
    for steps in (20, 80):
        points = even_levels(process, steps, 10.0, 0.1)
        plan = Plan(Euler(churn=1.0), process, Prediction.V, points)

        def answer(x: float, slot: int | None, plan: Plan = plan) -> float:
            def source(like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
                return torch.full_like(like, float(interval == slot))

            begun = plan.start(torch.tensor([x], dtype=torch.float64), noise=source)
            return float(finish(begun, oracle.network(Prediction.V)))

        found = oracle.variance(points[0]) * answer(1.0, None) ** 2 + sum(answer(0.0, i) ** 2 for i in range(steps))
        errors[steps] = abs(found / oracle.variance(points[-1]) - 1)
    assert slope(errors) == pytest.approx(1.0, abs=0.15)


def test_no_noise_is_drawn_without_churn() -> None:
    def source(like: Tensor, *_: Any) -> Tensor:
        raise AssertionError("drawn")

    plan = Euler().plan(process=SD, prediction=Prediction.V, sigmas=(9.0, 3.0))
    finish(plan.start(noise(1, 2), noise=source), ORACLE.network(Prediction.V))


def test_its_record_agrees_with_its_class() -> None:
    host = PluginHost()
    spec = host.schedulers["latentry-euler:euler"]
    assert host.schedulers.load("euler") is Euler
    assert Euler().build(20).plan.evaluations == 20 * spec.evaluations
    assert spec.off_grid
    assert not spec.stochastic
    assert host.schedulers["EulerDiscreteScheduler"] is host.schedulers["FlowMatchEulerDiscreteScheduler"] is spec


@pytest.mark.parametrize("options", [{"churn": -1}, {"churn_noise": 0}, {"churn_min": math.nan}, {"chrun": 1}])
def test_options_that_are_none_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Euler(**options)


def test_the_stepwise_interface_stands_on_it_without_churn() -> None:
    assert len(Euler().build(20).timesteps) == 20
    with pytest.raises(IncompatibleError, match="cannot be used step by step with these options"):
        Euler(churn=5.0).build(20)
