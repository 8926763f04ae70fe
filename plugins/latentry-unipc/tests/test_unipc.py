"""UniPC: the conformance suite, and its options in closed form."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import Flow, OptionError, Plan, Point, Prediction, Process, VariancePreserving
from latentry.testing import GaussianOracle, MixtureOracle, SchedulerSuite, drive
from latentry_unipc import UniPC

SD = VariancePreserving.from_betas()
DATA = GaussianOracle(0.3, 0.4)
LEVELS = (8.0, 4.0, 2.5, 1.2, 0.6)
X = torch.tensor([[0.7, -1.1, 0.2]], dtype=torch.float64)


class TestUniPC(SchedulerSuite):
    scheduler = "unipc"


def to(process: Process, end: float, **options: Any) -> Plan:
    """A plan over ``LEVELS`` to the level ``end``."""
    points = tuple(process.at(s=s) for s in (*LEVELS, end))
    return Plan(UniPC(**options), process, Prediction.V, points)


def two_steps(start: Point, end: Point, **options: Any) -> Plan:
    """To ``end``, and a short one on from there."""
    points = (start, end, SD.at(lam=end.lam + 0.3))
    return Plan(UniPC(lower_order_final=False, **options), SD, Prediction.V, points)


def corrected(plan: Plan, x: Tensor) -> Tensor:
    """The sample after the first step as the second step begins with it: what its first-order step carries on."""
    run = plan.start(x)
    for _ in range(2):
        query = run.query
        assert query is not None
        run.advance(DATA.answer(query, plan))
    _, middle, end = plan.points
    x0 = DATA.predict(drive(plan[:1], x, DATA.answer), middle)[0]
    h = end.lam - middle.lam
    return (run.sample + end.alpha * math.expm1(-h) * x0) * middle.sigma / end.sigma


@pytest.mark.parametrize(("variant", "part"), [("bh1", None), ("bh2", 0.5)])
def test_unic_1_is_the_formula_of_the_paper(variant: str, part: float | None) -> None:
    a, b = SD.at(lam=-1.0), SD.at(lam=-0.4)
    plan = two_steps(a, b, order=1, variant=variant)
    h = b.lam - a.lam
    first = DATA.predict(X, a)[0]
    predicted = b.sigma / a.sigma * X - b.alpha * math.expm1(-h) * first
    second = DATA.predict(predicted, b)[0]
    # B(h) with h → −h for data prediction: ½·B(h)·(m₁ − m₀)
    size = h if variant == "bh1" else -math.expm1(-h)
    expected = predicted + b.alpha * size / 2 * (second - first)
    assert torch.allclose(corrected(plan, X), expected, rtol=1e-12)


def test_half_a_corrector_lies_halfway() -> None:
    a, b = SD.at(lam=-1.0), SD.at(lam=-0.4)
    none, half, full = (corrected(two_steps(a, b, order=1, corrector=c), X) for c in (0.0, 0.5, 1.0))
    assert not torch.allclose(none, full)
    assert torch.allclose(half, (none + full) / 2, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_skipping_every_step_turns_the_corrector_off(order: int) -> None:
    none, skipped, some = (
        drive(to(SD, 0.3, order=order, **options), X, DATA.answer)
        for options in ({"corrector": 0.0}, {"skip_corrector": range(5)}, {"skip_corrector": [0, 2]})
    )
    assert torch.equal(none, skipped)
    assert not torch.allclose(none, some)


@pytest.mark.slow
@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("form", ["x0", "eps"])
def test_the_three_variants_differ_by_little_that_vanishes(order: int, form: str) -> None:
    def ends(steps: int) -> list[Tensor]:
        points = tuple(SD.at(lam=-2.0 + 3.0 * i / steps) for i in range(steps + 1))
        made = (UniPC(order=order, form=form, variant=v) for v in ("bh1", "bh2", "exact"))  # type: ignore[arg-type]
        return [drive(Plan(s, SD, Prediction.V, points), X, DATA.answer) for s in made]

    for steps, most in ((20, 1e-2), (320, 1e-5)):
        bh1, bh2, exact = ends(steps)
        assert 0.0 < float((bh1 - exact).abs().max()) < most
        assert 0.0 < float((bh2 - exact).abs().max()) < most


@pytest.mark.parametrize(("variant", "form", "order"), [*product(("bh1", "bh2", "exact"), ("x0", "eps"), (1, 2, 3))])
@pytest.mark.parametrize("process", [SD, SD.zero_terminal_snr(), Flow()])
def test_every_combination_is_finite_and_arrives(variant: str, form: str, order: int, process: Process) -> None:
    data = GaussianOracle(0.3, 0.0)
    for steps in (1, 2, 3, 6):
        inner = (process.at(s=s) for s in LEVELS[: steps - 1])
        points = (process.noisiest, *inner, process.clean())
        for final in (True, False):
            made = UniPC(variant=variant, form=form, order=order, lower_order_final=final)  # type: ignore[arg-type]
            end = drive(Plan(made, process, Prediction.V, points), X, data.answer)
            assert torch.allclose(end, torch.full_like(X, 0.3), rtol=1e-12)


def test_the_result_at_sigma_0_is_x0_of_the_last_evaluation() -> None:
    for form in ("x0", "eps"):
        plan = Plan(UniPC(form=form), SD, Prediction.V, (*to(SD, 0.3).points, SD.clean()))  # type: ignore[arg-type]
        seen: list[Tensor] = []

        def network(query: Any, plan: Plan, seen: list[Tensor] = seen) -> Tensor:
            seen.append(DATA.predict(query.x, query.point)[0])
            return DATA.answer(query, plan)

        assert torch.allclose(drive(plan, X, network), seen[-1], rtol=1e-13)


def test_the_first_step_from_pure_noise_is_corrected_by_the_trapezoidal_rule() -> None:
    process = Flow()
    points = (process.noisiest, process.at(timestep=800), process.at(timestep=600))
    made = UniPC(order=1, lower_order_final=False)
    plan = Plan(made, process, Prediction.FLOW, points)
    first = DATA.predict(X, points[0])[0]
    predicted = 0.2 * first + 0.8 * X
    second = DATA.predict(predicted, points[1])[0]
    # x/σ = x_T + ∫ x₀ du over u = α/σ from 0 to ¼
    after = 0.8 * (X + 0.25 * (first + second) / 2)
    expected = 0.6 / 0.8 * after + 0.4 * (1 - 0.25 / (0.4 / 0.6)) * second
    assert torch.allclose(drive(plan, X, DATA.answer), expected, rtol=1e-12)


def test_an_evaluation_that_a_cache_made_up_serves_its_own_step_only() -> None:
    plan = to(SD, 0.3, order=3)
    run = plan.start(X)
    for _ in range(2):
        query = run.query
        assert query is not None
        run.advance(DATA.answer(query, plan))
    predicted, v = run.sample, torch.full_like(X, 9.0)
    assert run.query is not None
    run.advance(v, real=False)
    a, b = plan.points[2:4]
    # neither corrected by it, nor of a higher order
    x0, eps = a.alpha * predicted - a.sigma * v, a.sigma * predicted + a.alpha * v
    assert torch.allclose(run.sample, b.alpha * x0 + b.sigma * eps, rtol=1e-12)
    # and the next evaluation does not correct what it made
    query, c, before = run.query, plan.points[4], run.sample
    assert query is not None
    now = DATA.predict(before, b)[0]
    older = DATA.predict(drive(plan[:1], X, DATA.answer), plan.points[1])[0]
    run.advance(DATA.answer(query, plan))
    h, r = c.lam - b.lam, (plan.points[1].lam - b.lam) / (c.lam - b.lam)
    size = -math.expm1(-h)
    expected = c.sigma / b.sigma * before + c.alpha * size * (now + 0.5 / r * (older - now))
    assert torch.allclose(run.sample, expected, rtol=1e-12)


def test_thresholding_bounds_x0() -> None:
    data = MixtureOracle(means=((3.0, 0.0), (-3.0, 1.0)))
    x = torch.tensor([[2.0, -9.0], [0.1, 0.2]], dtype=torch.float64)
    points = (*to(SD, 0.3).points, SD.clean())
    free, bound, loose = (
        drive(Plan(UniPC(**options), SD, Prediction.V, points), x, data.answer)
        for options in ({}, {"threshold": 1.0}, {"threshold": 1.0, "threshold_maximum": 1.0})
    )
    assert float(free.abs().max()) > 2.0
    assert float(bound.abs().max()) <= 1.0
    assert float(loose.abs().max()) <= 1.0
    assert not torch.allclose(bound, loose)  # divided by the quantile, or only clipped


@pytest.mark.parametrize(
    "options", [{"order": 0}, {"order": 4}, {"variant": "bh3"}, {"corrector": 1.1}, {"threshold": -0.1}, {"form": "v"}]
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        UniPC(**options)
