"""Rules that run between two noise levels."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

from pydantic import Field

from latentry._errors import IncompatibleError, OptionError
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._grids._spacings import Leading, Linspace, Trailing
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process


class Ranged(SigmaSchedule):
    """N levels between the ends of a range, by default the whole range of training, in s = σ/α.

    Pure noise has no finite s. On a process that begins there (flow, zero terminal SNR) the first level is pure noise
    exactly, and the rule, laid out for N levels from a finite ``sigma_max``, gives the others. Likewise a flow has no
    least s above 0, so the last step starts at ``sigma_min``.

    Class attributes:
        finite: the rule needs a finite start.
        default_max: ``sigma_max`` where the range begins at pure noise.
        default_min: ``sigma_min`` where the range ends at σ = 0.
    """

    finite: ClassVar[bool] = True
    default_max: ClassVar[float] = 15.0
    default_min: ClassVar[float] = 0.02

    span: Literal["trained", "leading", "linspace", "trailing"] = Field(
        default="trained",
        description="the range: all of training, or the first to the last level of that spacing with as many steps, "
        "as diffusers' Euler has it",
    )
    variable: Literal["s", "t"] = Field(
        default="s",
        description="what the rule lays out: s = σ/α, or on flow t itself, as diffusers' FlowMatchEuler has it",
    )
    sigma_max: float | None = Field(
        default=None,
        gt=0.0,
        allow_inf_nan=False,
        description="where the rule begins, in its variable; by default the range's start, 15 where that is pure noise",
    )
    sigma_min: float | None = Field(
        default=None,
        gt=0.0,
        allow_inf_nan=False,
        description="where the last step starts, in the rule's variable; by default the range's end, and where that "
        "is σ = 0, s = 0.02 or t = 0.001",
    )

    @abstractmethod
    def between(self, high: float, low: float, steps: int) -> Iterable[float]:
        """N values of the variable from ``high`` to ``low``, both included; N is 2 at least."""

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        if self.variable == "t" and process.kind != "flow":
            raise IncompatibleError(
                "The variable 't' of a sigma schedule is for flow models.",
                why=f"The checkpoint's noise process is {process.kind!r}.",
                remedy="Leave the option `variable` out.",
            )
        first, last = self._ends(steps, process)
        high, low = self._range(first, last)
        at = process.customary if self.variable == "t" else _at_s(process)
        start = first if self.sigma_max is None or first.alpha == 0.0 else at(high)
        if steps == 1:
            return (start,)
        *inner, end = map(at, tuple(self.between(high, low, steps))[1:])
        exact = last if self.sigma_min is None and last.sigma > 0.0 else end  # not within rounding of it
        return (start, *inner, exact)

    def _ends(self, steps: int, process: Process) -> tuple[Point, Point]:
        if self.span == "trained":
            return process.noisiest, process.cleanest
        spacing = {"leading": Leading, "linspace": Linspace, "trailing": Trailing}[self.span]
        points = spacing().points(steps, process)
        return points[0], points[-1]

    def _range(self, first: Point, last: Point) -> tuple[float, float]:
        """From where to where, in the rule's variable."""
        in_t = self.variable == "t"
        top, bottom = (first.sigma, last.sigma) if in_t else (first.s, last.s)
        high = top if self.sigma_max is None else self.sigma_max
        if high == math.inf and self.finite:
            high = self.default_max
        low = bottom if self.sigma_min is None else self.sigma_min
        if low == 0.0:
            low = 0.001 if in_t else self.default_min
        if high > top * 1.001 or not low <= high:
            raise OptionError(
                f"{type(self).__name__} cannot run from {high:g} down to {low:g}.",
                why=f"The model's levels begin at {top:g}, and a run goes from noisy to clean.",
                remedy="Choose sigma_max no higher than that and sigma_min below it.",
            )
        return high, low


def _at_s(process: Process) -> Callable[[float], Point]:
    return lambda s: process.at(s=s)
