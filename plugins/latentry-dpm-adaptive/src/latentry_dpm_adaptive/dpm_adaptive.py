"""DPM-Solver with adaptive steps."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor

from latentry import Denoised, Interval, Node, Noise, Point, Query, Scheduler, Step
from latentry.solvers import Adaptive, reach
from latentry_dpm_adaptive._single_step import linear, second_order

Arrive = Callable[[Point], Tensor]
"""The sample at a level, by some step to it."""


class Control(NamedTuple):
    """What the choice of the next step depends on.

    Attributes:
        length: of the next step in λ; 0 at the start.
        inverses: inverse errors of the last two accepted steps, newest first.
        before: x/α by the lower order at the end of the last step.
    """

    length: float = 0.0
    inverses: tuple[float, ...] = ()
    before: Tensor | None = None


class DPMAdaptive(Adaptive, Scheduler):
    """DPM-Solver-12 and DPM-Solver-23 (Lu et al. 2022, arXiv:2206.00927, appendix C).

    Two embedded methods differ by an estimate of the error, which a PID controller keeps at the tolerance. The
    boundaries of the plan are levels it stops at; between them it chooses its own. With one step it chooses all of
    them, down to ``last_level``, from where the last evaluation gives x₀.

    A tried step takes ``order`` evaluations; where it is rejected, the first of them is used again.
    """

    Memory: ClassVar[type] = Control

    order: int = Field(default=3, ge=2, le=3, description="3 is DPM-Solver-23, 2 is DPM-Solver-12")

    def step(self, x: Tensor, interval: Interval, memory: Control, noise: Noise) -> Step:
        """Takes one accepted step: tries it, and retries shorter ones until the error is within the tolerance."""
        start = interval.start
        denoised = yield start.query(x)
        goal = self.goal(interval)
        if start.alpha == 0.0 or goal.sigma == 0.0:
            return denoised.at(goal), memory, goal
        controller = self.controller(self.order)
        before = x / start.alpha if memory.before is None else memory.before
        length = memory.length or self.first_step
        while True:
            left = abs(goal.lam - start.lam)
            reached = reach(interval, goal, length)
            low, high = yield from self._pair(x, denoised, reached, interval)
            low, tried = low / reached.alpha, min(length, left)
            factor, inverses = controller.factor(
                self.relative_error(low, high / reached.alpha, before), memory.inverses
            )
            if self.accepts(factor, tried):
                # a step that a boundary cut short says little about longer ones
                return high, Control(max(tried * factor, length if tried < length else 0.0), inverses, low), reached
            length = tried * factor

    def _pair(
        self, x: Tensor, denoised: Denoised, end: Point, interval: Interval
    ) -> Generator[Query, Denoised, tuple[Tensor, Tensor]]:
        """x at ``end`` by the lower order and by the higher one."""
        first = Node(denoised.point, denoised.eps)
        span = end.lam - first.point.lam
        if self.order == 2:
            inner = yield from self._inner(denoised.at, first.point.lam + span / 2, interval)
            return denoised.at(end), second_order(x, first, inner, end)
        near = yield from self._inner(denoised.at, first.point.lam + span / 3, interval)
        far = yield from self._inner(lambda to: linear(x, first, near, to), first.point.lam + 2 * span / 3, interval)
        return second_order(x, first, near, end), linear(x, first, far, end)

    @staticmethod
    def _inner(arrive: Arrive, lam: float, interval: Interval) -> Generator[Query, Denoised, Node]:
        """ε at a level within the step."""
        point = interval.at(lam=lam)
        return Node(point, (yield point.query(arrive(point))).eps)
