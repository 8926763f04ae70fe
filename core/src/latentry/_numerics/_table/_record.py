"""Recording: the step generators are run on symbols, and what they compute is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, cast

from torch import Tensor

from latentry._numerics._denoised import Denoised
from latentry._numerics._interval import Interval
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._processes._prediction import Prediction, forms
from latentry._numerics._processes._process import Process
from latentry._numerics._running._noise import Clock, Noise
from latentry._numerics._step import StepMethod
from latentry._numerics._table._compile import Segment, segments
from latentry._numerics._table._fuse import fused
from latentry._numerics._table._prune import chained, without_unused
from latentry._numerics._table._symbol import NotLinearError, Symbol, Tape
from latentry._numerics._table._table import Draw, NoTable, Table, TableStep
from latentry._numerics._table._tree import names_in, symbols_to_names


class Recorded(NamedTuple):
    """A step as a run walks it.

    Attributes:
        step: what it computes, for the memory that it leaves too.
        before: the memory that it was given, with ``Name`` in place of tensors.
        after: the memory that it leaves.
        kept: names of the tensors in that.
        draws: whether it draws noise.
        segments: the step as functions.
    """

    step: TableStep
    before: Any
    after: Any
    kept: frozenset[str]
    draws: bool
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Recording:
    """A plan's steps with the scheduler's memory between them, by the index of their interval."""

    steps: dict[int, Recorded]
    table: Table


def with_fewest_terms(recording: Recording) -> Recording:
    """The same steps, fused; the memory between them is the same but for rounding."""
    steps = {}
    for index, recorded in recording.steps.items():
        (step,) = without_unused([fused(recorded.step, recorded.kept)], recorded.kept)
        made = segments(step, recorded.kept - {step.result})
        steps[index] = recorded._replace(step=step, segments=made)
    lean = without_unused([recorded.step for recorded in steps.values()])
    return Recording(steps, replace(recording.table, steps=lean))


def record(
    scheduler: StepMethod, process: Process, prediction: Prediction, points: Sequence[Point]
) -> Recording | NoTable:
    """The steps of a plan without hooks, or why they cannot be recorded."""
    if scheduler.adaptive:
        return NoTable(f"{type(scheduler).__name__} chooses its steps by the error that it sees.")
    if scheduler.whole:
        return NoTable(f"{type(scheduler).__name__} solves the whole grid in a loop of its own.")
    try:
        steps = _all_steps(scheduler, process, prediction, points)
    except NotLinearError as error:
        return NoTable(f"{type(scheduler).__name__} is not linear: {error}.")
    except Exception as error:  # a run of the generators meets it too, and reports it with its traceback
        return NoTable(f"{type(scheduler).__name__} cannot be recorded: {type(error).__name__}: {error}")
    lean = without_unused([recorded.step for recorded in steps.values()])
    return Recording(steps, Table(process.kind, prediction, tuple(points), lean))


def _all_steps(
    scheduler: StepMethod, process: Process, prediction: Prediction, points: Sequence[Point]
) -> dict[int, Recorded]:
    memory: Any = scheduler.Memory()
    steps: dict[int, Recorded] = {}
    tape = Tape()
    for index, (start, end) in enumerate(pairwise(points)):
        if start.lam == end.lam:
            continue
        interval = Interval(start, end, index, len(points) - 1, process)
        before = symbols_to_names(memory)
        step, memory = _one_step(tape, scheduler, prediction, interval, memory)
        after = symbols_to_names(memory)
        kept = names_in(after)
        (step,) = without_unused([chained(step, kept)], kept)
        draws = any(isinstance(operation, Draw) for operation in step.operations)
        steps[index] = Recorded(step, before, after, kept, draws, segments(step))
    return steps


def _one_step(
    tape: Tape, scheduler: StepMethod, prediction: Prediction, interval: Interval, memory: Any
) -> tuple[TableStep, Any]:
    def noise(like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        return _as_tensor(tape.draw(draw, clock))

    x = tape.begin(interval.index)
    step = scheduler.step(_as_tensor(x), interval, memory, Noise(noise, _as_tensor(x), interval.index))
    try:
        query = next(step)
        while True:
            query = step.send(_answer(tape, scheduler, prediction, interval.process, query))
    except StopIteration as stop:
        result = stop.value
    sample, memory = _checked(scheduler, result, interval)
    return TableStep(interval.index, x.name, tape.written(), sample.use()), memory


def _answer(tape: Tape, scheduler: StepMethod, prediction: Prediction, process: Process, query: object) -> Denoised:
    """The answer to a query in symbols: the sample that was asked about, and the output by name."""
    if type(query) is not Query or not isinstance(query.x, Symbol):
        raise NotLinearError("its step yields something else than a query for a combination of what it was given")
    output, lone = tape.evaluate(query, query.x, uncond="uncond" in scheduler.needs)
    shape = forms(prediction, query.point, process.data_std)
    return Denoised(query.x, query.point, _as_tensor(output), shape, uncond=lone if lone is None else _as_tensor(lone))


def _checked(scheduler: StepMethod, result: Any, interval: Interval) -> tuple[Symbol, Any]:
    """Sample and memory of a step's result, if a run would take it and the step reached its end."""
    if type(result) is not tuple or len(result) not in (2, 3) or not isinstance(result[1], scheduler.Memory):
        raise NotLinearError("its step does not return a sample and its memory")
    if not isinstance(result[0], Symbol):
        raise NotLinearError("its step returns a sample that is not a combination of what it was given")
    if len(result) == 3 and result[2] != interval.end:
        raise NotLinearError("its step does not reach the end of its interval")
    return result[0], result[1]


def _as_tensor(symbol: Symbol) -> Tensor:
    """A symbol where a step expects a tensor."""
    return cast("Tensor", symbol)
