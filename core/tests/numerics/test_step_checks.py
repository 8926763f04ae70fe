"""What a scheduler's step yields and returns is checked: a mistake in a plugin is an error that names it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from pydantic import Field
from support.oracles import SD, noise
from support.toys import First, Halving, TwoStep
from torch import Tensor

from latentry import (
    EDM,
    Flow,
    History,
    Interval,
    LatentryError,
    Noise,
    NoMemory,
    Plan,
    PluginError,
    Point,
    Prediction,
    Process,
    Query,
    Run,
    Scheduler,
    Step,
)
from latentry.sigmas import SigmaSchedule, Trailing

Ending = Callable[[Tensor, Interval], Any]


class Ends(Scheduler):
    """One evaluation, then whatever the test says."""

    ending: Any = Field(description="makes the result of a step from the sample and the interval")

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Evaluates, and ends as it was told to."""
        yield interval.start.query(x)
        return self.ending(x, interval)


class Adaptive(Ends):
    """The same, and may say how far it got."""

    adaptive: ClassVar[bool] = True


class Asks(Scheduler):
    """Yields whatever the test says."""

    asking: Any = Field(description="makes what the step yields from the sample and the interval")

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """One yield."""
        yield self.asking(x, interval)
        return x, memory


def crooked(query: Query) -> Tensor:
    return torch.sin(query.x * 1.7 + query.timestep / 300) * 0.8


def plan(scheduler: Scheduler, process: Process = SD) -> Plan:
    return scheduler.plan(4, process=process, prediction=Prediction.V, sigmas=Trailing())


def go(scheduler: Scheduler, x: Tensor | None = None) -> Tensor:
    begin = noise(1 if scheduler.adaptive else 2, 3)
    run = plan(scheduler).start(begin if x is None else x)
    while (query := run.query) is not None:
        run.advance(crooked(query))
    return run.sample


ENDINGS: dict[str, tuple[type[Ends], Ending, str]] = {
    "without its memory": (Ends, lambda x, _: x, "returned an object of type Tensor, not a tuple"),
    "nothing": (Ends, lambda x, _: None, "returned nothing, not a tuple"),
    "a list": (Ends, lambda x, _: [x, NoMemory()], "returned an object of type list, not a tuple"),
    "four things": (Ends, lambda x, i: (x, NoMemory(), i.end, 1), "of type tuple, not a tuple of the sample and"),
    "another memory": (Ends, lambda x, _: (x, History()), "type History as its memory, not NoMemory"),
    "no memory": (Ends, lambda x, _: (x, None), "nothing as its memory, not NoMemory"),
    "a number": (Ends, lambda x, _: (0.0, NoMemory()), "returned an object of type float, where the sample is"),
    "one row": (Ends, lambda x, _: (x[:1], NoMemory()), r"of shape \(1, 3\) on cpu, where .* of shape \(2, 3\)"),
    "a wider batch": (Ends, lambda x, _: (x.repeat(1, 2), NoMemory()), r"of shape \(2, 6\)"),
    "float32": (Ends, lambda x, _: (x.float(), NoMemory()), "returned float32 of shape .* where the sample is float64"),
    "another device": (Ends, lambda x, _: (x.to("meta"), NoMemory()), "on meta, where the sample is .* on cpu"),
    "beyond the end": (
        Adaptive,
        lambda x, i: (x, NoMemory(), i.at(lam=i.end.lam + 1.0 if math.isfinite(i.end.lam) else i.start.lam - 1.0)),
        "as the level it reached",
    ),
    "no progress": (Adaptive, lambda x, i: (x, NoMemory(), i.start), "as the level it reached"),
    "backwards": (Adaptive, lambda x, i: (x, NoMemory(), i.at(lam=i.start.lam - 0.1)), "as the level it reached"),
    "a level as a number": (Adaptive, lambda x, i: (x, NoMemory(), i.end.lam), "of type float as the level it reached"),
    "not a level": (
        Adaptive,
        lambda x, i: (x, NoMemory(), Point(math.nan, 1.0, 0.5, 3.0)),
        "λ = nan as the level it reached",
    ),
}


@pytest.mark.parametrize("what", ENDINGS)
def test_a_wrong_result_of_a_step_is_an_error(what: str) -> None:
    kind, ending, words = ENDINGS[what]
    with pytest.raises(PluginError, match=words) as caught:
        go(kind(ending=ending))
    assert caught.value.what.startswith(f"The {kind.__name__} of ")
    assert caught.value.remedy


def test_a_wrong_result_leaves_the_run_where_it_was() -> None:
    run = plan(Ends(ending=lambda x, _: x)).start(noise(2, 3))
    query = run.query
    assert query is not None
    before = run.sample
    with pytest.raises(PluginError):
        run.advance(crooked(query))
    assert (run.index, run.point) == (0, run.plan.points[0])
    assert run.sample is before


ASKED: dict[str, tuple[Ending, str]] = {
    "the sample": (lambda x, _: x, "yielded an object of type Tensor, not a query"),
    "nothing": (lambda x, _: None, "yielded nothing, not a query"),
    "a level": (lambda x, i: i.start, "yielded an object of type Point, not a query"),
    "one row": (lambda x, i: i.start.query(x[:1]), r"a query with float64 of shape \(1, 3\)"),
    "float32": (lambda x, i: i.start.query(x.float()), "a query with float32"),
    "no tensor": (lambda x, i: i.start.query(3.0), "a query with an object of type float"),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_step_that_yields_something_else_is_an_error(what: str) -> None:
    asking, words = ASKED[what]
    with pytest.raises(PluginError, match=words):
        go(Asks(asking=asking))


def test_a_step_that_is_not_a_generator_is_an_error() -> None:
    class Plain(Scheduler):
        def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Any:
            return x, memory

    with pytest.raises(PluginError, match=r"step\(\) returned an object of type tuple, and a step must be a generator"):
        go(Plain())


def test_a_step_that_raises_is_an_error_with_the_line_it_raised_at() -> None:
    class Broken(Scheduler):
        def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
            yield interval.start.query(x)
            raise KeyError("lost")  # the line that is named

    with pytest.raises(PluginError, match="KeyError") as caught:
        go(Broken())
    with open(__file__, encoding="utf-8") as source:
        line = next(i for i, text in enumerate(source, 1) if text.rstrip().endswith("# the line that is named"))
    assert f"{__file__}:{line}" in caught.value.why
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_error_of_latentry_in_a_step_passes_unchanged() -> None:
    class Refuses(Scheduler):
        def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
            yield interval.start.query(x)
            raise LatentryError("not like this")

    with pytest.raises(LatentryError, match=r"^not like this$"):
        go(Refuses())


@pytest.mark.parametrize("process", [SD, Flow(), EDM()], ids=lambda process: process.kind)
def test_right_steps_pass(process: Process) -> None:
    """Adaptive ones and reversed plans too, from pure noise and to σ = 0."""
    for scheduler in (First(), TwoStep(), Halving()):
        whole = plan(scheduler, process)
        for each in (whole, whole[1:3].reversed()):
            run: Run = each.start(noise(1 if scheduler.adaptive else 2, 3))
            while (query := run.query) is not None:
                run.advance(crooked(query))
            assert run.sample.shape[1:] == (3,)


def test_a_subclass_of_tensor_is_a_tensor() -> None:
    end = go(First(), torch.nn.Parameter(noise(2, 3), requires_grad=False))
    assert torch.equal(end, go(First(), noise(2, 3)))


@pytest.mark.filterwarnings("ignore:Field name:UserWarning")  # pydantic's own
@pytest.mark.parametrize("name", ["plan", "adaptive", "needs", "step", "build", "Memory"])
def test_an_option_named_like_something_of_the_scheduler_is_refused(name: str) -> None:
    with pytest.raises(PluginError, match=f"The option '{name}' of Mine cannot have this name"):
        type("Mine", (First,), {"__annotations__": {name: int}, name: Field(default=3, description="x")})


@pytest.mark.filterwarnings("ignore:Field name:UserWarning")
@pytest.mark.parametrize("name", ["levels", "points", "discrete"])
def test_an_option_named_like_something_of_a_sigma_schedule_is_refused(name: str) -> None:
    with pytest.raises(PluginError, match=f"It would hide .*{name}"):
        type("Mine", (Trailing,), {"__annotations__": {name: int}, name: Field(default=3, description="x")})


def test_class_attributes_may_be_overridden() -> None:
    class Mine(First):
        adaptive: ClassVar[bool] = True
        Memory: ClassVar[type] = History
        eta: float = Field(default=0.5, description="x")

    class Yours(Mine):
        eta: float = Field(default=0.7, description="x")

    assert (Mine().eta, Yours().eta, Yours.adaptive) == (0.5, 0.7, True)


class Placed(SigmaSchedule):
    """Levels that the test makes."""

    making: Any = Field(description="makes the levels from the number of steps and the process")

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """What the test says."""
        return self.making(steps, process)


@pytest.mark.parametrize(
    ("making", "words"),
    [
        (lambda steps, process: 1 / 0, "ZeroDivisionError.*test_step_checks.py"),
        (lambda steps, process: (process.noisiest,) * (steps - 1), "returned 3 levels for 4 steps"),
        (lambda steps, process: (14.6,) * steps, "something else than points"),
        (lambda steps, process: 14.6, "TypeError"),
    ],
)
def test_a_wrong_sigma_rule_is_an_error(making: Any, words: str) -> None:
    with pytest.raises(PluginError, match=words) as caught:
        First().plan(4, process=SD, prediction=Prediction.V, sigmas=Placed(making=making))
    assert caught.value.what.startswith("The Placed of ")
