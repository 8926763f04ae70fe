"""What a sigma schedule is, and the list that a caller gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress

from pydantic import BaseModel, ConfigDict, Field

from latentry._errors import OptionError
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
            OptionError: that many steps, or a level, cannot be had.
        """


class ExactSigmas(SigmaSchedule):
    """The caller's own list of noise levels."""

    values: tuple[float, ...] = Field(description="noise levels, falling: σ/α on VP and EDM, σ on flow")

    def points(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``; ``steps`` must be the length of the list."""
        if steps != len(self.values):
            raise OptionError(
                f"{len(self.values)} sigmas were given for {steps} steps.", remedy="Leave the number of steps out."
            )
        return tuple(self._level(value, process) for value in self.values)

    @staticmethod
    def _level(value: float, process: Process) -> Point:
        if value >= 0.0:
            with suppress(ValueError):
                return process.customary(value)
        raise OptionError(
            f"The sigma {value:g} is no noise level of this model.",
            why=f"Its noise process is {process.kind}.",
            remedy="Give σ/α from 0 up on VP and EDM, σ from 0 to 1 on flow.",
        )
