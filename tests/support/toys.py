"""Schedulers written for the tests, one for each thing the contract allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor

from latentry import (
    Evaluator,
    History,
    Interval,
    Noise,
    NoMemory,
    Point,
    Scheduler,
    Step,
    WholeScheduler,
    remember,
)
from latentry.solvers import combine, extrapolation_gain, guarded


class First(Scheduler):
    """The first-order step."""

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """One evaluation."""
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end), memory


class Heun(Scheduler):
    """Heun's method in s = σ/α: two evaluations, but one where an end is singular."""

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Euler to the end, and again with the mean of both slopes."""
        start, end = interval.start, interval.end
        here = yield start.query(x)
        guess = here.at(end)
        if interval.singular:
            return guess, memory
        there = yield end.query(guess)
        half = 0.5 * end.alpha * (end.s - start.s)
        return combine((end.alpha / start.alpha, x), (half, here.eps), (half, there.eps)), memory


class TwoStep(Scheduler):
    """DPM-Solver++ (2M): remembers one evaluation (Lu et al. 2022, arXiv:2211.01095, algorithm 2)."""

    Memory: ClassVar[type] = History

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Extrapolates x₀ through this and the last evaluation."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", 2)
        if interval.order(2, nodes) == 1:
            return denoised.at(end), History(nodes)
        ratio = (nodes[0].point.lam - nodes[1].point.lam) / interval.h
        x0 = combine((1 + 0.5 / ratio, nodes[0].value), (-0.5 / ratio, nodes[1].value))
        carried = end.sigma / start.sigma
        return combine((carried, x), (end.alpha * -math.expm1(-interval.h), x0)), History(nodes)


class Guarded(TwoStep):
    """The same with a guard on every extrapolation."""

    kappa: float = 0.3

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """Between the first-order step and the extrapolated one."""
        denoised = yield interval.start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", 2)
        first = denoised.at(interval.end)
        if interval.order(2, nodes) == 1:
            return first, History(nodes)
        part = -math.expm1(-interval.h) * interval.h / (nodes[0].point.lam - nodes[1].point.lam) / 2
        added = interval.end.alpha * part
        full = combine((1.0, first), (added, nodes[0].value), (-added, nodes[1].value))
        gain = extrapolation_gain(interval.end.alpha, interval.h)
        return guarded(first, full, denoised.x0, gain=gain, kappa=self.kappa), History(nodes)


class Noisy(Scheduler):
    """Two evaluations and two draws a step, one before and one after the first evaluation."""

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Nothing that samples anything: arithmetic that shows every input in the result."""
        x = combine((1.0, x), (0.1, noise()))
        first = yield interval.start.query(x)
        x = combine((1.0, first.at(interval.end)), (0.1, noise()))
        second = yield interval.start.query(x)
        return combine((0.5, first.x0), (0.5, second.x0), (0.1, x)), memory


class Late(Scheduler):
    """A first-order step and noise after it, drawn in two pieces of a clock."""

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """The increments over both halves, each of unit variance."""
        denoised = yield interval.start.query(x)
        return combine((1.0, denoised.at(interval.end)), (0.1, noise(0.0, 0.5)), (0.1, noise(0.5, 1.0))), memory


class Halving(Scheduler):
    """Goes half of what remains of an interval in λ until that is little, and draws noise each time."""

    adaptive: ClassVar[bool] = True
    least: float = 0.5

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """One first-order step to the middle, or to the end."""
        reached = interval.end
        if self.least < interval.h < math.inf:
            reached = interval.at(lam=interval.start.lam + interval.h / 2)
        denoised = yield interval.start.query(x)
        return combine((1.0, denoised.at(reached)), (0.01, noise())), memory, reached


class Greedy(Scheduler):
    """Needs the unguided output as well."""

    needs: ClassVar[frozenset[str]] = frozenset({"uncond"})

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """CFG++ in one line: x₀ of the guided, ε of the unguided output."""
        denoised = yield interval.start.query(x)
        assert denoised.uncond is not None
        end: Point = interval.end
        return end.mix(denoised.x0, denoised.uncond.eps), memory


class Loop(WholeScheduler):
    """First-order steps in a loop of its own."""

    def solve(self, x: Tensor, points: Sequence[Point], evaluate: Evaluator, noise: Noise) -> Tensor:
        """One evaluation a step."""
        for start, end in pairwise(points):
            x = evaluate(x, start).at(end)
        return x
