"""The unified predictor-corrector with steps of its own choice."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from pydantic import Field
from torch import Tensor

from latentry import Interval, Node, Noise, Scheduler, Step, remember
from latentry.solvers import Adaptive, reach
from latentry_unipc._weights import Variant, unified_step


class Course(NamedTuple):
    """What the next step depends on.

    Attributes:
        nodes: past evaluations of x₀, newest first.
        x: the sample that the newest of them stands for; None before the first.
        length: of the next step in λ; 0 at the start.
        inverses: inverse errors of the last two accepted steps, newest first.
        interval: the interval of the plan that ``used`` counts in.
        used: evaluations there.
    """

    nodes: tuple[Node, ...] = ()
    x: Tensor | None = None
    length: float = 0.0
    inverses: tuple[float, ...] = ()
    interval: int = 0
    used: int = 0


class UniPCAdaptive(Adaptive, Scheduler):
    """UniP-p and UniC-p (Zhao et al. 2023, arXiv:2302.04867, algorithms 5 and 6), whose difference is an estimate of
    the predictor's error that costs nothing: the evaluation that corrects a step is the next one's first.

    A PID controller keeps it at the tolerance. An accepted step takes one evaluation, and so does a rejected one.
    """

    Memory = Course

    order: int = Field(
        default=2, ge=1, le=3, description="p, the order of the predictor; the corrector raises it to p + 1"
    )
    variant: Variant = Field(
        default="bh2", description="B(h) where the order truncates it: bh1 h, bh2 e^h − 1, exact neither"
    )
    budget: int = Field(
        default=0, ge=0, le=1000, description="most evaluations in an interval of the plan; 0 for any number"
    )

    def step(self, x: Tensor, interval: Interval, memory: Course, noise: Noise) -> Step:
        """One accepted step: predicts, evaluates, corrects, and tries a shorter one until the two agree."""
        start, goal = interval.start, self.goal(interval)
        kept, used = memory.nodes, memory.used if memory.interval == interval.index else 0
        nodes = kept
        if memory.x is None or not bool((memory.x == x).all()):  # else the last step's evaluation is the one here
            denoised = yield start.query(x)
            kept, used = remember(kept, denoised, "x0", self.order), used + 1
            nodes = kept if denoised.real else (Node(start, denoised.x0),)
            if start.alpha == 0.0 or goal.sigma == 0.0:
                return denoised.at(goal), Course(interval=interval.index, used=used), goal
        if goal.sigma == 0.0:
            return unified_step(x, start, goal, nodes[:1], self.variant), Course(), goal
        left, length = abs(goal.lam - start.lam), memory.length or self.first_step
        while True:
            least = left / max(1, self.budget - used) if self.budget else 0.0
            reached = reach(interval, goal, max(length, least))
            tried = abs(reached.lam - start.lam)
            order = replace(interval, end=reached).order(self.order, nodes, lower_final=False)
            predicted = unified_step(x, start, reached, nodes[:order], self.variant)
            denoised = yield reached.query(predicted)
            used += 1
            corrected = unified_step(x, start, reached, (*nodes[:order], Node(reached, denoised.x0)), self.variant)
            error = self.relative_error(predicted / reached.alpha, corrected / reached.alpha, x / start.alpha)
            factor, inverses = self.controller(order + 1).factor(error, memory.inverses)
            if self.accepts(factor, tried) or tried <= least:
                longer = max(tried * factor, length if tried < length else 0.0)
                known = corrected if denoised.real else None
                kept = remember(kept, denoised, "x0", self.order)
                return corrected, Course(kept, known, longer, inverses, interval.index, used), reached
            length = tried * factor
