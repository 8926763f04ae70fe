"""What a sigma schedule is, and the list that a caller gives."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import ClassVar, Self

from pydantic import Field, model_validator

from latentry._errors import IncompatibleError, OptionError
from latentry._numerics._grids._shift import shifted
from latentry._numerics._options import Options
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process
from latentry._specs import ALL_PROCESSES, ProcessKind

MOST_STEPS = 5000
"""No rule lays out more: such a number is a slip."""


class SigmaSchedule(Options, ABC):
    """A rule that places N steps on a process; its fields are its options.

    A rule says ``levels``; the time shift is applied to them here, once, whatever the rule.

    Class attributes:
        kinds: noise processes on which the rule makes sense.
        discrete: picks from the trained timesteps where there are such, each at most once.
        absolute: the levels are meant as they stand, so a shift makes no sense.
    """

    kinds: ClassVar[frozenset[ProcessKind]] = ALL_PROCESSES
    discrete: ClassVar[bool] = False
    absolute: ClassVar[bool] = False

    shift: float = Field(
        default=1.0,
        gt=0.0,
        allow_inf_nan=False,
        description="time shift: multiplies σ/α of every level, once; 3 for SD3",
    )

    @model_validator(mode="after")
    def _absolute_levels_stay(self) -> Self:
        if self.absolute and self.shift != 1.0:
            raise ValueError("levels that are meant as they stand take no shift")
        return self

    @abstractmethod
    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """The rule itself: the levels at which N steps start, noisiest first, before the shift.

        ``steps`` and the kind of ``process`` have been checked.
        """

    def points(self, steps: int, process: Process) -> tuple[Point, ...]:
        """The levels at which N steps start, noisiest first; where the last one ends is the plan's affair.

        Raises:
            IncompatibleError: the rule, or its shift, makes no sense on this process.
            OptionError: that many steps, or a level, cannot be had.
        """
        self._check(steps, process)
        levels = tuple(shifted(level, self.shift, process) for level in self.levels(steps, process))
        if self.shift != 1.0 and levels[0].lam < process.noisiest.lam - 1e-9:
            raise IncompatibleError(
                f"A time shift of {self.shift:g} leaves the noise levels that the model was trained on.",
                why=f"They end at σ/α = {process.noisiest.s:.4g}, and the first step would start at {levels[0].s:.4g}.",
                remedy="Leave the shift out: it is for models that start from pure noise, such as flow models.",
            )
        if any(a.lam > b.lam for a, b in pairwise(levels)):
            raise OptionError(
                f"{type(self).__name__} cannot lay out {steps} steps with these options.",
                why="Its noise levels would rise from one step to the next.",
                remedy="Change the number of steps or the options.",
            )
        return levels

    def _check(self, steps: int, process: Process) -> None:
        name = type(self).__name__
        if process.kind not in self.kinds:
            raise IncompatibleError(
                f"The sigma schedule {name} makes no sense on this process.",
                why=f"It is for {', '.join(sorted(self.kinds))}; the checkpoint's noise process is {process.kind!r}.",
                remedy="See `latentry sigmas` for schedules that list this process.",
            )
        most = process.timesteps if self.discrete else None
        if not 1 <= steps <= (most or MOST_STEPS):
            raise OptionError(
                f"{steps} steps cannot be laid out with {name}.",
                why=f"The checkpoint has {most} timesteps, each of which is used once at most." if most else "",
                remedy=f"Ask for 1 to {most or MOST_STEPS} steps.",
            )


class ExactSigmas(SigmaSchedule):
    """The caller's own list of noise levels; one that comes twice in a row makes an empty step."""

    absolute: ClassVar[bool] = True

    values: tuple[float, ...] = Field(description="noise levels, falling: σ/α on VP and EDM, σ on flow")

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``; ``steps`` must be the length of the list."""
        if steps != len(self.values):
            raise OptionError(
                f"{len(self.values)} sigmas were given for {steps} steps.", remedy="Leave the number of steps out."
            )
        points = tuple(self._level(value, process) for value in self.values)
        rise = next(((a, b) for a, b in pairwise(self.values) if b > a), None)
        if rise is not None:
            raise OptionError(
                f"The sigmas must fall from step to step, and {rise[1]:g} comes after {rise[0]:g}.",
                remedy="Sort them from noisiest to cleanest.",
            )
        return points

    @staticmethod
    def _level(value: float, process: Process) -> Point:
        reachable = value < math.inf or process.noisiest.alpha == 0.0
        if value >= 0.0 and reachable:
            with suppress(ValueError):
                return process.customary(value)
        raise OptionError(
            f"The sigma {value:g} is no noise level of this model.",
            why=f"Its noise process is {process.kind}.",
            remedy="Give σ/α from 0 up on VP and EDM, σ from 0 to 1 on flow.",
        )


def exact(levels: Sequence[float]) -> ExactSigmas:
    """A caller's list of levels as a schedule.

    Raises:
        OptionError: it is no list of numbers.
    """
    if isinstance(levels, str) or not isinstance(levels, Iterable):
        raise OptionError(
            f"{levels!r} is no sigma schedule.", remedy="Give one, such as Karras(), or a list of noise levels."
        )
    return ExactSigmas(values=tuple(levels))
