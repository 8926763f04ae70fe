"""Schedulers that hold the loop, against the same method written step by step."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, ClassVar

import pytest
import torch
from pydantic import Field
from support.toys import TwoStep
from torch import Tensor

from latentry import (
    Evaluator,
    Flow,
    History,
    IncompatibleError,
    Interval,
    Noise,
    Plan,
    PluginError,
    Point,
    Prediction,
    Process,
    Run,
    Scheduler,
    SchedulerSpec,
    Trailing,
    VariancePreserving,
    WholeScheduler,
)
from latentry.solvers import combine
from latentry.testing._run_checks import check_scheduler
from latentry.testing._subject import Subject

VP: Process = VariancePreserving.from_betas()
PLACE: contextvars.ContextVar[str] = contextvars.ContextVar("PLACE", default="nowhere")


class Loop(WholeScheduler):
    """``TwoStep`` in a loop of its own, with its history in a local variable; keeps what it sees."""

    seen: ClassVar[list[object]] = []
    noisy: bool = Field(default=False, description="adds noise after each step")

    def solve(self, x: Tensor, points: Sequence[Point], evaluate: Evaluator, noise: Noise) -> Tensor:
        memory = History()
        try:
            with torch.enable_grad():
                for index, (start, end) in enumerate(pairwise(points)):
                    step = TwoStep().step(
                        x, Interval(start, end, index, len(points) - 1, evaluate.process), memory, noise
                    )
                    x, memory = self._taken(step, evaluate)
                    x = combine((1.0, x), (0.1, noise())) if self.noisy else x
        except BaseException as error:
            self.seen.append(type(error).__name__)
            raise
        return x

    def _taken(self, step: Any, evaluate: Evaluator) -> Any:
        query = next(step)
        while True:
            denoised = evaluate(query.x, query.point)
            self.seen.append((torch.is_grad_enabled(), PLACE.get()))
            try:
                query = step.send(denoised)
            except StopIteration as stop:
                return stop.value


CHECKED = (
    "convergence",
    "one_answer",
    "model_time",
    "evaluations",
    "determinism",
    "batch",
    "resume",
    "table",
    "dtypes",
)


@pytest.mark.parametrize("check", CHECKED)
def test_the_conformance_kit_takes_a_loop_as_any_scheduler(check: str) -> None:
    """Order 2 needs the history from one interval to the next."""
    spec = SchedulerSpec(name="loop", target=f"{__name__}:Loop", summary="For tests.", order=2)
    results = list(check_scheduler(Subject.of(Loop, spec=spec), [check]))
    assert results and all(result.passed for result in results), results


class Stubborn(Loop):
    """Asks again where an evaluation failed."""

    def solve(self, x: Tensor, points: Sequence[Point], evaluate: Evaluator, noise: Noise) -> Tensor:
        try:
            return evaluate(x, points[0]).at(points[-1])
        except ArithmeticError:
            return evaluate(0.5 * x, points[0]).at(points[-1])


class Broken(Loop):
    def solve(self, x: Tensor, points: Sequence[Point], evaluate: Evaluator, noise: Noise) -> Tensor:
        evaluate(x, points[0])
        raise ArithmeticError("out of sums")


def _plan(scheduler: Scheduler, process: Process = VP, steps: int = 6) -> Plan:
    prediction = Prediction.FLOW if process.kind == "flow" else Prediction.V
    return scheduler.plan(steps, process=process, prediction=prediction, sigmas=Trailing())


def _x(rows: int = 2) -> Tensor:
    return torch.randn(rows, 3, 4, 4, generator=torch.Generator().manual_seed(3))


def _advance(run: Run) -> None:
    query = run.query
    assert query is not None
    run.advance(torch.tanh(query.x) + 0.001 * query.timestep)


def _finish(run: Run) -> Tensor:
    while run.query is not None:
        _advance(run)
    return run.sample


@pytest.fixture(autouse=True)
def seen() -> list[object]:
    Loop.seen.clear()
    return Loop.seen


@pytest.mark.parametrize("process", [VP, Flow()], ids=["vp", "flow"])
@pytest.mark.parametrize("part", ["whole", "begins late", "reversed", "an empty interval"])
def test_a_loop_does_what_the_steps_do_and_the_run_follows_it(process: Process, part: str) -> None:
    plans = []
    for scheduler in (Loop(), TwoStep()):
        plan = _plan(scheduler, process)
        points = plan.points
        if part == "an empty interval":
            plan = Plan(scheduler, process, plan.prediction, (points[0], *points[:3], points[2], *points[3:]))
        plans.append({"begins late": plan[2:], "reversed": plan[1:-1].reversed()}.get(part, plan))
    loop, steps = (plan.start(_x(), table=False) for plan in plans)
    while (query := steps.query) is not None:
        asked = loop.query
        assert asked is not None
        assert (asked.point, asked.index, asked.stage) == (query.point, query.index, query.stage)
        assert torch.equal(loop.sample, steps.sample)
        assert (loop.index, loop.point, loop.done) == (steps.index, steps.point, False)
        for run in (loop, steps):
            _advance(run)
    assert loop.query is None and loop.done
    assert (loop.index, loop.point) == (steps.index, steps.point)
    assert torch.equal(loop.sample, steps.sample)
    assert plans[0].evaluations_by_step == plans[1].evaluations_by_step


def test_a_plan_of_a_loop_is_not_a_table_and_says_why() -> None:
    table = _plan(Loop()).table()
    assert not table
    assert "loop of its own" in table.reason


def test_runs_take_turns() -> None:
    plan = _plan(Loop(noisy=True))
    alone = [_finish(plan.start(_x(), seed=seed)) for seed in (1, 2)]
    together = [plan.start(_x(), seed=seed) for seed in (1, 2)]
    while not together[0].done:
        for run in together:
            _advance(run)
    assert all(torch.equal(run.sample, wanted) for run, wanted in zip(together, alone, strict=True))
    assert not torch.equal(*alone)


def test_a_closed_run_ends_the_loop_and_can_be_resumed(seen: list[object]) -> None:
    plan = _plan(Loop(noisy=True))
    expected, run = _finish(plan.start(_x(), seed=4)), plan.start(_x(), seed=4)
    for _ in range(3):
        _advance(run)
    run.close()
    run.close()
    assert seen[-1] == "GreenletExit" and seen.count("GreenletExit") == 1
    assert run.query is None and not run.done
    with pytest.raises(RuntimeError, match="closed"):
        run.advance(_x())
    assert torch.equal(_finish(plan.resume(run.state(), seed=4)), expected)


def test_a_run_that_nobody_holds_ends_the_loop(seen: list[object]) -> None:
    run = _plan(Loop()).start(_x())
    _advance(run)
    del run
    assert seen[-1] == "GreenletExit"


def test_what_an_evaluation_failed_with_goes_through_the_loop(seen: list[object]) -> None:
    run, error = _plan(Loop()).start(_x()), ZeroDivisionError("the network")
    _advance(run)
    with pytest.raises(ZeroDivisionError) as raised:
        run.throw(error)
    assert raised.value is error
    assert seen[-1] == "ZeroDivisionError"


def test_a_loop_may_ask_again_where_an_evaluation_failed() -> None:
    run = _plan(Stubborn()).start(_x())
    assert run.query is not None
    run.throw(ZeroDivisionError())
    assert run.query is not None and torch.equal(run.query.x, 0.5 * _x())
    _advance(run)
    assert run.done


def test_errors_reach_the_generators_of_other_schedulers_too() -> None:
    for table in (True, False):
        run, error = _plan(TwoStep()).start(_x(), table=table), ZeroDivisionError()
        assert run.query is not None
        with pytest.raises(ZeroDivisionError):
            run.throw(error)


def test_a_loop_that_fails_is_the_plugins_fault() -> None:
    run = _plan(Broken()).start(_x())
    with pytest.raises(PluginError, match=r"out of sums.*in solve"):
        _advance(run)


def test_autograd_and_contexts_are_each_sides_own(seen: list[object]) -> None:
    token = PLACE.set("where the run began")
    try:
        with torch.no_grad():
            run = _plan(Loop()).start(_x())
            while run.query is not None:
                assert not torch.is_grad_enabled()
                PLACE.set("elsewhere")
                _advance(run)
            assert not torch.is_grad_enabled()
    finally:
        PLACE.reset(token)
    assert set(seen) == {(True, "where the run began")}


def test_a_run_stays_in_its_thread() -> None:
    plan = _plan(Loop())
    run = plan.start(_x())
    _advance(run)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(IncompatibleError, match="another thread"):
            pool.submit(_advance, run).result()
        resumed = pool.submit(lambda: _finish(plan.resume(run.state()))).result()
    with pytest.raises(RuntimeError, match="closed or has failed"):
        run.advance(_x())
    assert torch.equal(resumed, _finish(plan.start(_x())))


def test_the_sample_is_the_loops_own_while_it_runs() -> None:
    run = _plan(Loop()).start(_x())
    run.replace(0.5 * _x())
    first = run.query
    run.reopen(0.25 * _x())
    assert first is not None and run.query is not None
    assert torch.equal(run.query.x, 0.25 * _x())
    _advance(run)
    with pytest.raises(RuntimeError, match="answered already"):
        run.reopen(_x())


def test_without_greenlet_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "greenlet", None)
    with pytest.raises(PluginError, match="pip install greenlet"):
        _plan(Loop()).start(_x()).query  # noqa: B018
