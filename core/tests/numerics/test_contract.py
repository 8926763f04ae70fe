"""The contract carries what it promises: two stages, memory, adaptive steps; and the rules of order lowering."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from support.oracles import SD, ZTSNR, Gaussian, even_levels, finish, noise, relative, slope
from support.toys import First, Halving, Heun, TwoStep

from latentry import EDM, Flow, Interval, Node, Plan, Point, Prediction, Process, Scheduler, remember
from latentry import Denoised as Answer
from latentry._numerics._processes._prediction import forms
from latentry.solvers import combine

ORACLE = Gaussian()
PROCESSES = pytest.mark.parametrize(
    ("process", "prediction"),
    [(SD, Prediction.EPSILON), (SD, Prediction.V), (Flow(), Prediction.FLOW), (EDM(), Prediction.EDM)],
    ids=["vp-epsilon", "vp-v", "flow", "edm"],
)


def error(scheduler: Scheduler, process: Process, prediction: Prediction, steps: int) -> float:
    """Against the exact path between σ/α of 14 and 0.03."""
    points = even_levels(process, steps, 14.0, 0.03)
    x = noise(64) * points[0].sigma
    found = finish(Plan(scheduler, process, prediction, points).start(x), ORACLE.network(prediction, process.data_std))
    return relative(found, ORACLE.path(x, points[0], points[-1]))


@PROCESSES
@pytest.mark.parametrize(("scheduler", "order"), [(First(), 1), (Heun(), 2), (TwoStep(), 2)], ids=str)
def test_a_method_has_its_order_on_every_process(
    scheduler: Scheduler, order: int, process: Process, prediction: Prediction
) -> None:
    assert slope({n: error(scheduler, process, prediction, n) for n in (80, 160)}) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("process", [ZTSNR, Flow()], ids=["ztsnr", "flow"])
@pytest.mark.parametrize("scheduler", [First(), Heun(), TwoStep()], ids=str)
def test_every_run_from_pure_noise_arrives_exactly(scheduler: Scheduler, process: Process, steps: int) -> None:
    prediction = Prediction.FLOW if process.kind == "flow" else Prediction.V
    inner = even_levels(process, steps - 1, 8.0, 0.1)[: steps - 1] if steps > 1 else ()
    plan = Plan(scheduler, process, prediction, (process.noisiest, *inner, process.clean()))
    network = ORACLE.network(prediction)
    run, last = plan.start(noise(16)), torch.zeros(16)
    while (query := run.query) is not None:
        output = network(query)
        last = run.denoise(output).x0
        run.advance(output)
    assert bool(run.sample.isfinite().all())
    assert torch.equal(run.sample, last)


@pytest.mark.parametrize("process", [SD, Flow(), EDM()], ids=["vp", "flow", "edm"])
@pytest.mark.parametrize("scheduler", [First(), Heun(), TwoStep(), Halving()], ids=str)
def test_a_constant_x0_is_solved_exactly(scheduler: Scheduler, process: Process) -> None:
    x0 = noise(1, 8, seed=3)
    plan = scheduler.plan(process=process, prediction=Prediction.X0, sigmas=(0.9, 0.4, 0.1))
    run = plan.start(noise(1, 8), noise=lambda like, *_: torch.zeros_like(like))
    assert torch.allclose(finish(run, lambda query: x0), x0, rtol=1e-12, atol=1e-12)


def test_an_adaptive_run_reaches_every_boundary_and_knows_its_level() -> None:
    plan = Halving(least=0.5).plan(process=SD, prediction=Prediction.V, sigmas=(14.0, 1.0))
    run, levels = plan.start(noise(1, 4)), []
    while (query := run.query) is not None:
        levels.append(query.point.lam)
        assert query.point == run.point
        run.advance(query.x)
    assert plan.points[0].lam in levels
    assert plan.points[1].lam in levels
    assert levels == sorted(levels)
    assert len(levels) > 2
    assert run.point == plan.points[-1]
    gaps = [b - a for a, b in itertools.pairwise(levels)]
    assert gaps[0] == pytest.approx(math.log(14) / 2)


def test_an_interval_knows_its_place_in_the_plan() -> None:
    first, last = Interval(SD.noisiest, SD.at(s=1.0), 0, 3, SD), Interval(SD.at(s=1.0), SD.clean(), 2, 3, SD)
    assert (first.remaining, first.last, first.singular) == (3, False, False)
    assert (last.remaining, last.last, last.singular) == (1, True, True)
    assert first.h == pytest.approx(-SD.noisiest.lam)
    assert Interval(ZTSNR.noisiest, SD.at(s=1.0), 0, 3, ZTSNR).singular
    assert first.at(s=2.0) == SD.at(s=2.0)


def nodes(*points: Point) -> tuple[Node, ...]:
    return tuple(Node(point, torch.zeros(1)) for point in points)


def test_order_is_lowered_for_every_reason_there_is() -> None:
    a, b, c, d = (SD.at(s=s) for s in (8.0, 4.0, 2.0, 1.0))
    inner = Interval(c, d, 2, 10, SD)
    assert inner.order(3, nodes(c, b, a)) == 3
    assert inner.order(2, nodes(c, b, a)) == 2  # wanted
    assert inner.order(3, nodes(c, b)) == 2  # nodes there are
    assert inner.order(3, ()) == 1
    assert inner.order(3, nodes(b, a)) == 1  # no node at the start: a cache made it up
    assert Interval(c, SD.clean(), 2, 10, SD).order(3, nodes(c, b, a)) == 1  # singular
    assert inner.order(3, nodes(c, b, ZTSNR.noisiest)) == 2  # a node at pure noise and all before it
    assert Interval(c, d, 8, 10, SD).order(3, nodes(c, b, a)) == 2  # steps that remain
    assert Interval(c, d, 9, 10, SD).order(3, nodes(c, b, a)) == 1
    assert Interval(c, d, 9, 10, SD).order(3, nodes(c, b, a), lower_final=False) == 3


@pytest.mark.parametrize(("order", "weights"), [(3, (23, -16, 5)), (4, (55, -59, 37, -9))])
def test_an_order_is_stable_as_long_as_an_error_does_not_grow(order: int, weights: tuple[int, ...]) -> None:
    """x̄ₙ₊₁ = x̄ₙ − q·Σ w_j·x̄ₙ₋ⱼ: the slope where noise rules, each step of which covers the part q of s."""

    def largest_root(part: float) -> float:
        characteristic = np.zeros(order + 1)
        characteristic[:2] = 1.0, -1.0
        characteristic[1:] += part * np.array(weights) / sum(weights)
        return float(np.abs(np.roots(characteristic)).max())

    def allowed(part: float) -> int:
        return Interval(SD.at(s=1.0), SD.at(s=1.0 - part), 1, 9, SD).stable_order(order)

    limit = next(part for part in np.arange(0.001, 1.0, 0.001) if largest_root(part) > 1.0)
    assert allowed(limit - 0.002) == order
    assert allowed(limit + 0.002) < order
    assert allowed(0.97) == 2


def answer(real: bool = True) -> Answer:
    point = SD.at(s=2.0)
    return Answer(noise(3), point, noise(3, seed=1), forms(Prediction.EPSILON, point), real=real)


def test_a_history_holds_the_newest_first_and_no_more_than_asked() -> None:
    old = nodes(SD.at(s=8.0), SD.at(s=4.0))
    assert [n.point for n in remember(old, answer(), "x0", 3)] == [SD.at(s=2.0), *(n.point for n in old)]
    assert [n.point for n in remember(old, answer(), "x0", 2)] == [SD.at(s=2.0), old[0].point]
    assert [n.point for n in remember(old, answer(), "x0", 1)] == [SD.at(s=2.0)]


@pytest.mark.parametrize("form", ["x0", "eps", "v"])
def test_a_history_holds_the_form_that_was_asked_for(form: str) -> None:
    made = answer()
    assert torch.equal(remember((), made, form, 1)[0].value, getattr(made, form))  # type: ignore[arg-type]


def test_a_made_up_answer_never_enters_a_history() -> None:
    old = nodes(SD.at(s=8.0), SD.at(s=4.0))
    assert remember(old, answer(real=False), "x0", 2) == old
    assert remember(old, answer(real=False), "x0", 1) == old[:1]


def test_a_remembered_noise_prediction_is_not_the_networks_own_buffer() -> None:
    made = answer()
    kept = remember((), made, "eps", 1)[0].value
    before = kept.clone()
    made.output.fill_(9.0)
    assert torch.equal(kept, before)


def test_combine_leaves_out_what_counts_nothing() -> None:
    infinite = torch.full((2,), math.inf)
    one, two = torch.ones(2), torch.full((2,), 2.0)
    assert torch.equal(combine((0.0, infinite), (3.0, one)), 3 * one)
    assert torch.equal(combine((0.0, infinite)), torch.zeros(2))
    assert torch.equal(combine((1.0, one), (2.0, two), (-1.0, one)), 4 * one)
    assert torch.equal(combine((2.0, two), (1.0, one)), 5 * one)
    assert torch.equal(one, torch.ones(2))


def test_combine_gives_a_new_tensor_always() -> None:
    one = torch.ones(2)
    for result in (combine((1.0, one)), combine((1.0, one), (0.0, one)), combine((1.0, one), (1.0, one))):
        assert result.data_ptr() != one.data_ptr()
