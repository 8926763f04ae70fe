"""Steps whose length follows from an estimate of their error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from latentry._numerics._interval import Interval
from latentry._numerics._processes._point import Point

TINY = 1e-8
"""Added to an error, so that its inverse exists."""
SHORTEST = 1e-4
"""A step of this length in λ is accepted whatever its error, so that every run ends."""
AFTER_NOISE = 100.0
"""σ/α where a first-order step out of pure noise ends: the network has seen nothing but noise until there."""


@dataclass(frozen=True)
class StepController:
    """A PID controller of the step size on log(1/error) (Söderlind 2003, "Digital filters in adaptive time-stepping",
    ACM Transactions on Mathematical Software 29).

    Attributes:
        proportional: coefficient of the proportional part.
        integral: coefficient of the integral part; alone it is the elementary control, h ∝ error^(−1/order).
        derivative: coefficient of the derivative part.
        order: order of the error estimate.
    """

    proportional: float
    integral: float
    derivative: float
    order: int

    def factor(self, error: float, before: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
        """The factor for the step size, and the inverse errors to remember if the step is accepted.

        Args:
            error: of this step, relative to the tolerance.
            before: inverse errors of the last two accepted steps, newest first; empty at the start.

        Returns:
            a factor between 0.2 and 2.6, which a limiter keeps it to; and (1/error, 1/error before).
        """
        inverse = 1.0 / (error + TINY)
        last, older = before or (inverse, inverse)
        p, i, d = (value / self.order for value in (self.proportional, self.integral, self.derivative))
        wanted = inverse ** (p + i + d) * last ** (-p - 2.0 * d) * older**d
        return 1.0 + math.atan(wanted - 1.0), (inverse, last)


class Adaptive(BaseModel):
    """The options of schedulers that choose their steps by a tolerance. A scheduler inherits from this class and from
    ``Scheduler``; the boundaries of its plan are levels that it stops at.
    """

    adaptive: ClassVar[bool] = True

    rtol: float = Field(default=0.05, gt=0.0, le=1.0, description="tolerated error of a step, relative to |x/α|")
    atol: float = Field(default=0.0078, gt=0.0, le=1.0, description="smallest tolerated error of a step, in x/α")
    last_level: float = Field(
        default=0.03, gt=0.0, le=1.0, description="σ/α down to which a step to σ = 0 is divided; from there it is x₀"
    )
    first_step: float = Field(default=0.05, gt=0.0, le=10.0, description="length in λ of the first step tried")
    proportional: float = Field(default=0.0, ge=0.0, le=1.0, description="P of the PID controller")
    integral: float = Field(default=1.0, gt=0.0, le=1.0, description="I of the PID controller")
    derivative: float = Field(default=0.0, ge=0.0, le=1.0, description="D of the PID controller")
    accept_safety: float = Field(
        default=0.81,
        gt=0.2,
        lt=1.0,
        description="a step is accepted unless the next would be shorter than this share of it",
    )

    def controller(self, order: int) -> StepController:
        """The controller with these options, for an error estimate of this order."""
        return StepController(self.proportional, self.integral, self.derivative, order)

    def accepts(self, factor: float, tried: float) -> bool:
        """Whether a step of length ``tried`` in λ stands, whose error asks for ``factor``."""
        return factor >= self.accept_safety or tried <= SHORTEST

    def goal(self, interval: Interval) -> Point:
        """Where the steps lead: to the end or, if the interval is singular, to a level in between."""
        start, end = interval.start, interval.end
        if not interval.singular:
            return end
        between = interval.at(s=AFTER_NOISE if start.alpha == 0.0 else self.last_level)
        return between if start.lam < between.lam < end.lam else end

    def relative_error(self, low: Tensor, high: Tensor, before: Tensor) -> float:
        """Root mean square of a difference in x/α, relative to the tolerated error.

        Args:
            low: x/α by the lower order, (1, …).
            high: x/α by the higher order.
            before: x/α at the step's start, or by the lower order at the end of the last step.
        """
        tolerated = (self.rtol * torch.maximum(low.abs(), before.abs())).clamp(min=self.atol)
        return float(((low - high) / tolerated).square().mean().sqrt())


def reach(interval: Interval, goal: Point, length: float) -> Point:
    """The level that a step of this length in λ reaches, or the goal where that is nearer."""
    start = interval.start
    near = length > abs(goal.lam - start.lam) - 1e-5
    return goal if near else interval.at(lam=start.lam + math.copysign(length, interval.h))
