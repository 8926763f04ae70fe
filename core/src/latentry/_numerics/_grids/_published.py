"""The levels that distilled models were published with, where no other rule gives them."""

from __future__ import annotations

from typing import ClassVar

from latentry._errors import OptionError
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._grids._spacings import trained_timesteps
from latentry._numerics._grids._time import at_fraction
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process
from latentry._specs import ProcessKind

THOUSAND = 1000
"""Timesteps of the models that were distilled."""


class Published(SigmaSchedule):
    """Every T/N-th timestep from the noisy end, 999, 749, 499, 249 for four steps, but another one for a single step.

    Class attributes:
        single: the timestep of a single step.
    """

    kinds: ClassVar[frozenset[ProcessKind]] = frozenset({"vp"})
    discrete: ClassVar[bool] = True
    absolute: ClassVar[bool] = True
    single: ClassVar[int]

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        total = trained_timesteps(self, process)
        if steps > 1:
            return tuple(process.at(timestep=round(total - i * total / steps) - 1) for i in range(steps))
        if total != THOUSAND:
            raise OptionError(
                f"{type(self).__name__} has no single step for a model of {total} timesteps.",
                why=f"It was published for {THOUSAND}.",
                remedy="Ask for two steps or more, or use another sigma schedule.",
            )
        return (process.at(timestep=self.single),)


class HyperSD(Published):
    """Of Hyper-SD and Hyper-SDXL (Ren et al. 2024, arXiv:2404.13686); one step at timestep 800."""

    single: ClassVar[int] = 800


class DMD2(Published):
    """Of DMD2 (Yin et al. 2024, arXiv:2405.14867): 999, 749, 499, 249; one step at timestep 399."""

    single: ClassVar[int] = 399


class Schnell(SigmaSchedule):
    """Of FLUX.1 schnell: t = 1, 1 − 1/N, …, 1/N, whatever the size of the picture, without a time shift."""

    kinds: ClassVar[frozenset[ProcessKind]] = frozenset({"flow"})
    absolute: ClassVar[bool] = True

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        return tuple(at_fraction(process, (steps - i) / steps) for i in range(steps))
