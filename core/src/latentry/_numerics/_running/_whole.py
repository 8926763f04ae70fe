"""Schedulers that hold the loop themselves, and how a run drives one all the same."""

from __future__ import annotations

import contextvars
import threading
from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, ClassVar, cast, final

import torch
from torch import Tensor

from latentry._errors import IncompatibleError, PluginError
from latentry._numerics._denoised import Denoised
from latentry._numerics._interval import Interval, NoMemory
from latentry._numerics._layout import ROUNDING
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._processes._process import Process
from latentry._numerics._running._noise import Noise
from latentry._numerics._scheduler import Scheduler
from latentry._numerics._step import Step

Ask = Callable[[Query], Denoised]


class Evaluator:
    """The network, as a scheduler calls it that holds the loop: ``evaluate(x, point)`` returns when it is answered.

    Attributes:
        process: the noise process of the plan.
        points: the plan's boundaries.
    """

    def __init__(self, process: Process, points: Sequence[Point], ask: Ask) -> None:
        self.process, self.points, self._ask = process, points, ask

    def __call__(self, x: Tensor, point: Point) -> Denoised:
        """The network's answer at ``x``, the process's own sample of the level ``point``."""
        return self._ask(point.query(x))

    def at(self, *, lam: float | None = None, s: float | None = None, timestep: float | None = None) -> Point:
        """The level given by one of λ, σ/α and timestep: the boundary, where it is one but for float32's rounding."""
        wanted = self.process.at(lam=lam, s=s, timestep=timestep)
        same = (each for each in self.points if each.lam == wanted.lam or abs(each.lam - wanted.lam) < ROUNDING)
        return next(same, wanted)


class WholeScheduler(Scheduler):
    """A sampler that is written as a loop over the grid and calls the network itself, as k-diffusion's are.

    A run takes all its intervals as one step. The loop runs in a greenlet: where it calls ``evaluate``, it is left
    until the host has answered, so that the host decides when and with whom to evaluate, as it does for every other
    scheduler. ``Run.state()`` holds the answers so far, and resuming gives them again, so it needs no memory.

    The query's ``index`` is the interval that its level lies in. ``plan.table()`` is a ``NoTable``.
    """

    whole: ClassVar[bool] = True

    @abstractmethod
    def solve(self, x: Tensor, points: Sequence[Point], evaluate: Evaluator, noise: Noise) -> Tensor:
        """The sample at the last level from the one at the first; nothing is written into ``x``.

        An evaluation that failed, or a host that cancels the run, raises where ``evaluate`` was called: in a cancelled
        run ``GreenletExit``, a ``BaseException``. Clean up, and let it pass.

        Args:
            x: the process's own sample at ``points[0]``, (batch, …), float32 or float64.
            points: the boundaries from where the run starts to its end, at least two, all different.
            evaluate: the network; ``evaluate.at`` makes levels.
            noise: standard normal draws, in order.
        """

    @final
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """The whole grid as one step, see ``solve``."""
        boundaries = (interval.start, *interval.inner, interval.end)
        points = [point for point, before in zip(boundaries, (None, *boundaries), strict=False) if point != before]

        def loop(ask: Ask) -> Tensor:
            return self.solve(x, points, Evaluator(interval.process, points, ask), noise)

        return (yield from _driven(loop, type(self).__name__)), memory


def _driven(loop: Callable[[Ask], Tensor], name: str) -> Generator[Query, Denoised, Tensor]:
    """Turns a function that asks into a generator that yields what is asked; errors go both ways.

    Closing the generator raises ``GreenletExit`` in the function.
    """
    greenlet, thread = _greenlet(name), threading.get_ident()
    closing = False

    def ask(query: Query) -> Denoised:
        if closing:  # it caught what should have ended it
            raise greenlet.GreenletExit
        return cast("Denoised", _keeping_mode(worker.parent.switch, query))

    def enter(switch: Callable[..., Any], *arguments: Any) -> Any:
        if threading.get_ident() != thread:
            raise _other_thread(name)
        worker.parent = greenlet.getcurrent()  # whoever advances the run now
        return _keeping_mode(switch, *arguments)

    worker = greenlet.greenlet(loop)
    worker.gr_context = contextvars.copy_context()
    try:
        given = enter(worker.switch, ask)
        while not worker.dead:
            try:
                answer = yield given
            except GeneratorExit:
                raise
            except BaseException as error:
                given = enter(worker.throw, error)
            else:
                given = enter(worker.switch, answer)
        return cast("Tensor", given)
    finally:
        closing = True
        if worker and not worker.dead:
            with suppress(IncompatibleError):  # of another thread, in which it is collected
                enter(worker.throw)


def _keeping_mode(switch: Callable[..., Any], *arguments: Any) -> Any:
    """Switches over, and has autograd as it was on the way back: the mode belongs to the thread, which is one."""
    mode = torch.is_grad_enabled()
    try:
        return switch(*arguments)
    finally:
        torch.set_grad_enabled(mode)


def _greenlet(name: str) -> Any:
    try:
        return import_module("greenlet")
    except ImportError as error:
        raise PluginError(
            f"{name} cannot be run.",
            why=f"It holds the sampling loop itself, which needs greenlet: {error}.",
            remedy="Install it: pip install greenlet",
        ) from error


def _other_thread(name: str) -> IncompatibleError:
    return IncompatibleError(
        f"A run of {name} cannot go on in another thread.",
        why="It holds the sampling loop itself, which stays in the thread that began it.",
        remedy="Save its state() and resume the plan from that in the other thread.",
    )
