"""The interval that one step covers, and the evaluations a multistep method remembers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

from latentry._numerics._denoised import Denoised
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process

Form = Literal["x0", "eps", "v"]

CROWDED = 0.01
"""Evaluations closer than this part of a step say nothing about the slope over it: what noise, correction or rounding
moved between them would be multiplied by the inverse.
"""

STABLE = ((4, 3 / 10), (3, 6 / 11))
"""The part of s that a step of the Adams-Bashforth methods may cover, by order: their intervals of absolute stability
on dx̄/ds = x̄/s, the slope where noise rules. Order 2 is stable over any part.
"""

FARTHEST = 3.0
"""How far beyond the last step's length a slope from pure noise is followed, in e^λ."""


class Node(NamedTuple):
    """A past evaluation: where, and the value a solver keeps of it."""

    point: Point
    value: Tensor


class History(NamedTuple):
    """The memory of a multistep method: its past evaluations, newest first."""

    nodes: tuple[Node, ...] = ()


class NoMemory(NamedTuple):
    """The memory of a method that remembers nothing."""


def remember(nodes: Sequence[Node], evaluation: Denoised, form: Form, keep: int) -> tuple[Node, ...]:
    """The nodes with this evaluation at their head, ``keep`` at most, newest first.

    An evaluation that a step cache made up serves its own step only: it is left out, and the caller sees that from
    ``nodes[0].point``.
    """
    if not evaluation.real:
        return tuple(nodes[:keep])
    return (Node(evaluation.point, getattr(evaluation, form)), *nodes[: keep - 1])


@dataclass(frozen=True, slots=True)
class Interval:
    """The interval between two boundaries of a plan, which one step covers.

    Attributes:
        start: the noise level of x.
        end: the noise level that the step goes to.
        index: which step of the plan, from 0.
        count: steps of the plan.
        process: makes points off the grid.
        inner: the boundaries between start and end, where a scheduler that solves the whole grid is given all of it.
    """

    start: Point
    end: Point
    index: int
    count: int
    process: Process
    inner: tuple[Point, ...] = ()

    @property
    def h(self) -> float:
        """λ_end − λ_start; infinite where the interval is singular."""
        return self.end.lam - self.start.lam

    @property
    def remaining(self) -> int:
        """Steps left, this one included."""
        return self.count - self.index

    @property
    def last(self) -> bool:
        """Whether this is the last step."""
        return self.remaining == 1

    @property
    def singular(self) -> bool:
        """Whether the step leaves pure noise or touches σ = 0, where only the first-order step is defined."""
        return not math.isfinite(self.h)

    def at(self, *, lam: float | None = None, s: float | None = None, timestep: float | None = None) -> Point:
        """A level of the same process that need not lie on the grid."""
        return self.process.at(lam=lam, s=s, timestep=timestep)

    def order(
        self,
        wanted: int,
        nodes: Sequence[Node],
        *,
        lower_final: bool = True,
        into_clean: bool = False,
        from_noise: bool = False,
    ) -> int:
        """The highest order that can be used on this interval.

        1 where the interval is singular or the evaluation at its start is not among the nodes (a step cache made it
        up); else no more than ``wanted``, than the newest nodes with finite λ that lie apart, and, with
        ``lower_final``, than the steps that remain. ``into_clean`` counts a step to σ = 0 as regular, which it is for
        methods in s = σ/α. ``from_noise`` lets the second step after pure noise use the evaluation there, for methods
        whose weights ``exponential_weights`` gives.
        """
        regular = not self.singular or (into_clean and self.end.sigma == 0.0 and self.start.alpha > 0.0)
        if not regular or not nodes or nodes[0].point != self.start:
            return 1
        usable = self._usable(nodes)
        # in e^λ, as that evaluation is used, the extrapolation reaches e^h - 1 times as far as the last step was
        if from_noise and usable == 1 and self._begins_after_noise(nodes) and math.expm1(self.h) <= FARTHEST:
            usable = 2
        return max(1, min(wanted, usable, self.remaining if lower_final else wanted))

    def stable_order(self, order: int) -> int:
        """The highest order up to this one whose Adams-Bashforth method on s is stable in steps of this length."""
        part = -math.expm1(-abs(self.h))
        return min(order, next((stable for stable, most in STABLE if part <= most), 2))

    @staticmethod
    def _begins_after_noise(nodes: Sequence[Node]) -> bool:
        return len(nodes) > 1 and nodes[1].point.lam == -math.inf

    def _usable(self, nodes: Sequence[Node]) -> int:
        """How many of the newest nodes a polynomial can go through: finite λ, none crowded by the one before it."""
        apart = CROWDED * abs(self.h) if math.isfinite(self.h) else 0.0
        lams = [node.point.lam for node in nodes]
        crowded = (i for i in range(1, len(lams)) if abs(lams[i - 1] - lams[i]) <= apart)
        infinite = (i for i, lam in enumerate(lams) if not math.isfinite(lam))
        return min(next(crowded, len(lams)), next(infinite, len(lams)))
