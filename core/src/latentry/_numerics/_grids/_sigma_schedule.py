"""The base class of sigma schedules, and the schedule of a caller's own list."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import ClassVar, Self

from pydantic import Field, model_validator

from latentry._discovery._calls import plugin_call
from latentry._discovery._owner import owner_of
from latentry._errors import IncompatibleError, OptionError, PluginError, counted
from latentry._numerics._grids._shift import shifted
from latentry._numerics._options import Options
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process
from latentry._specs import ALL_PROCESSES, ProcessKind

MOST_STEPS = 5000
"""More steps than anyone means to ask for."""


class SigmaSchedule(Options, ABC):
    """A rule that places N steps on a process; its fields are its options.

    A subclass implements ``levels``; the time shift is applied to them here, once, for every rule.

    Class attributes:
        kinds: noise processes on which the rule makes sense.
        discrete: picks from the trained timesteps where time is discrete, each at most once.
        absolute: the levels are final, so a time shift is refused.
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
            raise ValueError("this schedule has fixed levels and takes no time shift")
        return self

    @abstractmethod
    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """The rule itself: the levels at which N steps start, noisiest first, before the shift.

        ``steps`` and the kind of ``process`` have been checked.
        """

    def points(self, steps: int, process: Process) -> tuple[Point, ...]:
        """The levels at which N steps start, noisiest first; the plan decides where the last one ends.

        Raises:
            IncompatibleError: the rule, or its shift, does not fit this process.
            PluginError: the rule failed, or gave something else than levels.
            OptionError: the rule has no such number of steps, or the process no such level.
        """
        self._check(steps, process)
        levels = tuple(shifted(level, self.shift, process) for level in self._placed(steps, process))
        if self.shift != 1.0 and levels[0].lam < process.noisiest.lam - 1e-9:
            raise IncompatibleError(
                f"A time shift of {self.shift:g} leaves the noise levels that the model was trained on.",
                why=f"They end at σ/α = {process.noisiest.s:.4g}, and the first step would start at {levels[0].s:.4g}.",
                remedy="Leave the shift out: it is for models that start from pure noise, such as flow models.",
            )
        if any(a.lam > b.lam for a, b in pairwise(levels)):
            raise OptionError(
                f"{type(self).__name__} cannot lay out {counted(steps, 'step')} with these options.",
                why="Its noise levels would rise from one step to the next.",
                remedy="Change the number of steps or the options.",
            )
        return levels

    def _placed(self, steps: int, process: Process) -> tuple[Point, ...]:
        """What the rule gives: a plugin's code, whose mistakes are errors that name it."""
        with plugin_call(self):
            levels = tuple(self.levels(steps, process))
        if len(levels) != steps or not all(type(level) is Point for level in levels):
            owner = owner_of(self)
            found = f"{len(levels)} levels" if len(levels) != steps else "something else than points"
            raise PluginError(
                f"The {owner.record} of {owner.provenance.label} does not do what a sigma schedule must.",
                why=f"levels() returned {found} for {counted(steps, 'step')}.",
                remedy="Return one point of the process for each step, made by process.at(...).",
            )
        return levels

    def _check(self, steps: int, process: Process) -> None:
        name = type(self).__name__
        if process.kind not in self.kinds:
            raise IncompatibleError(
                f"The sigma schedule {name} does not fit this process.",
                why=f"It is for {', '.join(sorted(self.kinds))}; the checkpoint's noise process is {process.kind!r}.",
                remedy="See `latentry sigmas` for schedules that list this process.",
            )
        most = process.timesteps if self.discrete else None
        if not 1 <= steps <= (most or MOST_STEPS):
            raise OptionError(
                f"{counted(steps, 'step')} cannot be laid out with {name}.",
                why=f"The checkpoint has {most} timesteps, and each can be used only once." if most else "",
                remedy=f"Ask for 1 to {most or MOST_STEPS} steps.",
            )


class ExactSigmas(SigmaSchedule):
    """The caller's own list of noise levels; two equal levels in a row make an empty step."""

    absolute: ClassVar[bool] = True

    values: tuple[float, ...] = Field(description="noise levels, falling: σ/α on VP and EDM, σ on flow")

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``; ``steps`` must be the length of the list."""
        if steps != len(self.values):
            raise OptionError(
                f"{counted(len(self.values), 'sigma')} cannot be used for {counted(steps, 'step')}.",
                remedy="Leave the number of steps out.",
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
            f"The sigma {value:g} is not a noise level of this model.",
            why=f"Its noise process is {process.kind}.",
            remedy="Give σ/α, 0 or more, on VP and EDM, and σ from 0 to 1 on flow.",
        )


def exact(levels: Sequence[float]) -> ExactSigmas:
    """A caller's list of levels as a schedule.

    Raises:
        OptionError: it is not a list of numbers.
    """
    if isinstance(levels, str) or not isinstance(levels, Iterable):
        raise OptionError(
            f"{levels!r} is not a sigma schedule.", remedy="Give one, for example Karras(), or a list of noise levels."
        )
    return ExactSigmas(values=tuple(levels))
