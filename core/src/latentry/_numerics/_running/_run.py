"""A run: one request on its way through a plan. The host evaluates the network, not the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from latentry._discovery._calls import from_host, plugin_call
from latentry._errors import IncompatibleError
from latentry._numerics._denoised import Denoised
from latentry._numerics._interval import Interval
from latentry._numerics._layout import Layout
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._processes._prediction import forms
from latentry._numerics._running._noise import Noise, NoiseSource
from latentry._numerics._running._state import RunState
from latentry._numerics._running._step_check import Like, check_query, check_result, check_sample, check_step
from latentry._numerics._step import Result, Step
from latentry._numerics._table._record import Recording
from latentry._numerics._table._table import NoTable
from latentry._numerics._table._transition import Transition, transition
from latentry._numerics._table._walk import Walk


class Answer(NamedTuple):
    """What the host gave to a query; kept within a step, so that a saved half step can be replayed."""

    output: Tensor
    uncond: Tensor | None = None
    real: bool = True


class Begun(NamedTuple):
    """Where a step began that covers several intervals: what a state needs to do it again."""

    done: int
    point: Point
    sample: Tensor


class Run:
    """Position, sample and memory of one request.

    The host reads ``query``, evaluates the network when it likes and in a batch with whatever it likes, and calls
    ``advance``; at the end ``query`` is None and ``sample`` is the result. A step opens only when its query is read:
    until then the host may ``replace`` the sample. A run belongs to one request and to one thread at a time.

    Where the plan is a table (``Plan.table``) the run walks that; where not, and from an answer on that a step cache
    made up, it runs the scheduler's generators. Both give the same bits, the same queries and the same states.

    A scheduler that solves the whole grid (``WholeScheduler``) opens one step, and keeps it open to the end. ``sample``
    and ``point`` are then those of the pending query, and ``index`` is the interval it lies in.

    Attributes:
        plan: what is being run; the ``Plan`` that started it.
        sample: the sample at ``point``, at least float32.
        index: steps done.
        point: the level of ``sample``.
    """

    def __init__(
        self,
        plan: Layout,
        x: Tensor,
        noise: NoiseSource,
        *,
        index: int = 0,
        point: Point | None = None,
        memory: Any = None,
        draws: int = 0,
        answers: Sequence[Answer] = (),
        table: bool | Literal["fused"] = True,
    ) -> None:
        self.plan, self.index = plan, index
        self.sample = x if x.dtype == torch.float64 else x.float()
        self.point = plan.points[index] if point is None else point
        if plan.scheduler.adaptive and len(self.sample) != 1:
            raise IncompatibleError(
                f"{type(plan.scheduler).__name__} takes one sample at a time, and this batch has {len(self.sample)}.",
                why="It chooses its steps by the error it sees, so that each result would depend on the whole batch.",
                remedy="Start a run for each sample: plan.start(x[i : i + 1], samples=[i]).",
            )
        self._like = Like.of(self.sample)
        self._points, self._needs_uncond = plan.points, "uncond" in plan.scheduler.needs
        self._calling = plugin_call(plan.scheduler)
        self._memory = plan.scheduler.Memory() if memory is None else memory
        self._walk: Walk | None = None
        self._looks_for_table = bool(table) and draws == 0  # a table has whole steps only
        self._fused = table == "fused"
        self._source, self._drawn = noise, draws
        self._noise: Noise | None = None
        self._interval: Interval | None = None
        self._answers: list[Answer] = []
        self._step: Step | None = None
        self._query: Query | None = None
        self._begun: Begun | None = None
        self._asked = 0
        self._closed = False
        self._skip_empty()
        for output, uncond, real in answers:
            self.advance(output, uncond=uncond, real=real)

    @property
    def done(self) -> bool:
        """Whether every step is done."""
        return self.index == len(self._points) - 1

    @property
    def query(self) -> Query | None:
        """The next evaluation that the step needs; None at the end. Reading it opens the next step."""
        while self._query is None and self.index < len(self._points) - 1 and not self._closed:
            self._open()
        return self._query

    @property
    def transition(self) -> Transition | None:
        """How the sample of the last step was distributed: mean, standard deviation and density of the next sample.

        None before a step of this run is done; after a resumed one, of the steps since.

        Raises:
            IncompatibleError: the run does not walk a table (``Plan.table`` says why), the step's draws are mixed, or a
                guard acts on some that the network was not shown.
        """
        if self._walk is None and not self._looks_for_table:
            recording = self.plan.recording
            raise IncompatibleError(
                "The transitions of this run are not known.",
                why=recording.reason if isinstance(recording, NoTable) else "It runs the scheduler's generators.",
                remedy="Start a run of a plan that is a table, without outputs that a step cache made up.",
            )
        if self._walk is None or self._walk.taken is None:
            return None
        return transition(*self._walk.taken)

    def denoise(self, output: Tensor, *, uncond: Tensor | None = None, real: bool = True) -> Denoised:
        """The pending query's answer as the solver will see it, hooks applied; for previews of x₀.

        Args:
            output: the guided network output, of the query's shape; raised to the sample's dtype.
            uncond: the output without guidance, for schedulers that need it.
            real: False for an output that a step cache made up.
        """
        query = self._pending()
        shape = forms(self.plan.prediction, query.point, self.plan.process.data_std)
        lone = None if uncond is None else uncond.to(query.x.dtype)
        answer = Denoised(query.x, query.point, output.to(query.x.dtype), shape, uncond=lone, real=real)
        for hook in self.plan.hooks:
            answer = hook(answer)
        return answer

    def advance(self, output: Tensor, *, uncond: Tensor | None = None, real: bool = True) -> None:
        """Answers the pending query and goes on to the next one; arguments as for ``denoise``."""
        if self._needs_uncond and uncond is None:
            raise ValueError(f"{type(self.plan.scheduler).__name__} needs the unguided output too: pass uncond=")
        self._pending()  # opens the step, and with it the table
        if self._walk is not None:
            if real:
                self._walk_on(self._walk, output, uncond)
                return
            self._leave_table()
        answer = self.denoise(output, uncond=uncond, real=real)
        self._answers.append(Answer(output, uncond, real))
        assert self._step is not None
        step, self._query = self._step, None
        self._proceed(partial(step.send, answer))

    def replace(self, sample: Tensor) -> None:
        """Replaces the sample between two steps.

        Raises:
            RuntimeError: a step is open, so the sample has been used already.
        """
        if self._query is not None:
            raise RuntimeError("the sample can be replaced only before the step's query is asked for")
        if sample.shape != self.sample.shape:
            raise ValueError(f"the sample has shape {tuple(self.sample.shape)}, not {tuple(sample.shape)}")
        self.sample = sample.to(self.sample)

    def reopen(self, sample: Tensor) -> None:
        """Restarts the open step from another sample; only while none of its evaluations has been answered."""
        if self._answers:
            raise RuntimeError("an evaluation of this step has been answered already")
        self._step = self._query = None
        if self._begun is not None:
            self.index, self.point, _ = self._begun
        self.replace(sample)

    def state(self) -> RunState:
        """Everything that is needed to continue later. Outputs given within an open step are saved and replayed."""
        answers = tuple(tuple(answer) for answer in self._answers)
        memory = self._memory if self._walk is None else self._walk.memory(self.index)
        begun = self._begun or Begun(self.index, self.point, self.sample)
        value = (begun.sample, memory, self._drawn, answers)
        return RunState.pack(self.plan.fingerprint, begun.done, begun.point, value)

    def throw(self, error: BaseException) -> None:
        """Raises an error where the scheduler waits for the pending answer, such as what the evaluation failed with.

        The scheduler cleans up and the error comes back from here; or it catches the error and asks something else.
        """
        self._pending()
        if self._step is None:  # a table has nothing to clean up
            raise error
        self._proceed(partial(self._step.throw, from_host(error)))

    def close(self) -> None:
        """Ends the run where it is. The open step is closed, so that what it holds is released; the state remains."""
        step, self._step, self._query, self._closed = self._step, None, None, True
        if step is not None:
            with self._calling:
                step.close()

    def _pending(self) -> Query:
        query = self._query or self.query
        if query is None:
            raise RuntimeError(
                f"the run {'was closed or has failed' if self._closed else 'has ended'} and asks for nothing more"
            )
        return query

    def _open(self) -> None:
        if self._looks_for_table:
            self._look_for_table()
        if self._walk is None:
            self._open_generator()
        else:
            with self._calling:
                self._query = self._walk.open(self.index, self.sample)

    def _look_for_table(self) -> None:
        self._looks_for_table = False
        recording = self.plan.fused if self._fused else self.plan.recording
        if isinstance(recording, Recording):
            self._walk = Walk.begin(recording, self.index, self._memory, self._source)

    def _walk_on(self, walk: Walk, output: Tensor, uncond: Tensor | None) -> None:
        with self._calling:
            self._query = query = walk.answer(output, uncond)
        if query is not None:
            self._answers.append(Answer(output, uncond))
            return
        sample = walk.close()
        check_sample(self.plan.scheduler, sample, self._like)
        self.sample, self._answers = sample, []
        self._reach(self._points[self.index + 1])

    def _leave_table(self) -> None:
        """Goes on with the generators, in the middle of a step too: what was answered there is answered again."""
        assert self._walk is not None
        self._memory, self._walk = self._walk.memory(self.index), None
        answers, self._answers, self._query = self._answers, [], None
        for output, uncond, real in answers:
            self.advance(output, uncond=uncond, real=real)

    def _open_generator(self) -> None:
        self._interval = self._covered()
        self._noise = Noise(self._source, self.sample, self.index, self._drawn)
        with self._calling:
            step = self.plan.scheduler.step(self.sample, self._interval, self._memory, self._noise)
        check_step(self.plan.scheduler, step)
        self._step = step
        if self.plan.scheduler.whole:
            self._begun, self._asked = Begun(self.index, self.point, self.sample), 0
        self._proceed(partial(next, step))

    def _covered(self) -> Interval:
        """What the next step covers: an interval, or all that are left."""
        points, last = self.plan.points, self.index + 1
        if self.plan.scheduler.whole:
            last = len(points) - 1
        inner = points[self.index + 1 : last]
        return Interval(self.point, points[last], self.index, len(self.plan), self.plan.process, inner)

    def _proceed(self, go_on: Callable[[], Query]) -> None:
        query: Any = None
        result: Result | None = None
        with self._calling:
            try:
                query = go_on()
            except StopIteration as stop:
                result, self._step = stop.value, None
            except BaseException:
                self._closed = True  # the step is over, and cannot begin again in its middle
                raise
        if self._step is None:
            self._finish(result)
            return
        check_query(self.plan.scheduler, query, self.sample, self._like)
        if self._begun is None:
            self._query = replace(query, index=self.index, stage=len(self._answers))
        else:
            self._follow(query)

    def _follow(self, query: Query) -> None:
        """Goes along with a scheduler that solves the whole grid; back to an interval before it never goes."""
        index = max(self.index, self.plan.interval_of(query.point))
        self._asked = 0 if index > self.index else self._asked
        self._query = replace(query, index=index, stage=self._asked)
        self.index, self.point, self.sample, self._asked = index, query.point, query.x, self._asked + 1

    def _finish(self, result: Result | None) -> None:
        assert self._noise is not None and self._interval is not None
        point = check_result(self.plan.scheduler, result, self._like, self._interval)
        assert result is not None
        self.sample, self._memory = result[0], result[1]
        self._answers, self._drawn = [], self._noise.draws
        if self._begun is not None:
            self.index, self._begun = len(self._points) - 1, None
        self._reach(point)

    def _reach(self, point: Point) -> None:
        self.point = point
        self._skip_empty()

    def _skip_empty(self) -> None:
        lam, points = self.point.lam, self._points
        while self.index < len(points) - 1 and lam == points[self.index + 1].lam:
            self.index += 1
            self._drawn = 0
