"""What a sigma schedule is, and the list that a caller gives."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pydantic import BaseModel, ConfigDict, Field

from latentry._numerics._point import Point
from latentry._numerics._process import Process


class SigmaSchedule(BaseModel, ABC):
    """A rule that places N steps on a process; its fields are its options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def points(self, steps: int, process: Process) -> tuple[Point, ...]:
        """The levels at which N steps start, noisiest first; where the last one ends is the plan's affair.

        Raises:
            IncompatibleError: the rule makes no sense on this process.
            OptionError: that many steps cannot be had.
        """


class ExactSigmas(SigmaSchedule):
    """The caller's own list of noise levels."""

    values: tuple[float, ...] = Field(description="noise levels, falling: σ/α on VP and EDM, σ on flow")

    def points(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``; ``steps`` must be the length of the list."""
        if steps != len(self.values):
            raise ValueError(f"{len(self.values)} sigmas were given for {steps} steps")
        return tuple(process.customary(value) for value in self.values)
