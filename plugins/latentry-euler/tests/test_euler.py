"""Euler's method: the conformance suite, its step in closed form, and churn."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, IncompatibleError, Plan, Point, Prediction, Process, VariancePreserving
from latentry.testing import GaussianOracle, SchedulerSuite, drive
from latentry_euler import Euler

SD = VariancePreserving.from_betas()
ZTSNR = SD.zero_terminal_snr()
KINDS = pytest.mark.parametrize("process", [SD, Flow(), EDM()], ids=["vp", "flow", "edm"])


class TestEuler(SchedulerSuite):
    scheduler = "euler"


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def even_levels(process: Process, count: int, begin: float, end: float) -> tuple[Point, ...]:
    """At equal distances in λ, given as σ/α."""
    return tuple(process.at(s=begin * (end / begin) ** (i / count)) for i in range(count + 1))


@KINDS
def test_a_step_is_eulers_in_sigma_over_alpha(process: Process) -> None:
    start, end = process.at(s=5.0), process.at(s=2.0)
    x, eps = noise(6), noise(6, seed=1)
    found = drive(Plan(Euler(), process, Prediction.EPSILON, (start, end)), x, lambda *_: eps)
    expected = end.alpha * (x / start.alpha + (end.s - start.s) * eps)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_on_a_rectified_flow_it_is_eulers_in_t() -> None:
    x, velocity = noise(6), noise(6, seed=1)
    plan = Euler().plan(process=Flow(), prediction=Prediction.FLOW, sigmas=(1.0, 0.6))[:1]
    assert torch.allclose(drive(plan, x, lambda *_: velocity), x + (0.6 - 1.0) * velocity, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("process", [ZTSNR, Flow()], ids=["ztsnr", "flow"])
def test_with_churn_it_still_arrives_on_the_data_from_pure_noise(process: Process) -> None:
    points = (process.noisiest, *even_levels(process, 5, 8.0, 0.1), process.clean())
    plan = Plan(Euler(churn=20.0), process, Prediction.V, points)
    found = drive(plan, noise(16), GaussianOracle(0.3, 0.0).answer)
    assert torch.allclose(found, torch.full_like(found, 0.3), rtol=1e-12)


def levels(scheduler: Euler, process: Process, points: tuple[Point, ...]) -> list[tuple[Point, Point]]:
    """The level at each step's start, and the one that it queried."""
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
    pairs = levels(Euler(churn=100.0, churn_min=0.5, churn_max=5.0), SD, even_levels(SD, 8, 12.0, 0.1))
    for start, asked in pairs:
        assert (asked != start) == (0.5 <= start.s <= 5.0)


@KINDS
@pytest.mark.parametrize("scale", [1.0, 1.003])
def test_the_added_noise_is_what_the_raised_level_lacks(process: Process, scale: float) -> None:
    """Line 6 of algorithm 2, by unit vectors: x̂ = x̄ + √(ŝ² − s²)·S_noise·ε."""
    plan = Plan(Euler(churn=3.0, churn_noise=scale), process, Prediction.V, even_levels(process, 10, 10.0, 0.1))
    unit = torch.eye(2, dtype=torch.float64)
    query = plan.start(unit[:1], noise=lambda *_: unit[1:]).query
    assert query is not None
    (on_x, on_noise), start, raised = query.x[0].tolist(), plan.points[0], query.point
    assert on_x == pytest.approx(raised.alpha / start.alpha, rel=1e-12)
    assert (on_noise / raised.alpha) ** 2 == pytest.approx(scale**2 * (raised.s**2 - start.s**2), rel=1e-10)


def test_no_noise_is_drawn_without_churn() -> None:
    def source(*_: object) -> Tensor:
        raise AssertionError("drawn")

    plan = Euler().plan(process=SD, prediction=Prediction.V, sigmas=(9.0, 3.0))
    drive(plan, noise(1, 2), GaussianOracle().answer, noise=source)


@pytest.mark.parametrize("options", [{"churn": -1}, {"churn_noise": 0}, {"churn_min": math.nan}, {"chrun": 1}])
def test_invalid_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Euler(**options)


def test_the_stepwise_interface_works_with_it_without_churn() -> None:
    assert len(Euler().build(20).timesteps) == 20
    with pytest.raises(IncompatibleError, match="cannot be used step by step with these options"):
        Euler(churn=5.0).build(20)
