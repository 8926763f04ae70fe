"""Even steps in time, under the names of the graphical front ends: normal, simple, SGM uniform."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field

from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._grids._spacings import trained_timesteps
from latentry._numerics._grids._time import at_fraction
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process


class Normal(SigmaSchedule):
    """N levels evenly in time from the noisiest to the cleanest, both included (k-diffusion's get_sigmas).

    On a flow, whose cleanest level is σ = 0, that level is where the run ends: 1, …, 1/N.
    """

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        pieces = steps if process.cleanest.sigma == 0.0 else max(steps - 1, 1)
        return tuple(at_fraction(process, (pieces - i) / pieces) for i in range(steps))


class SGMUniform(SigmaSchedule):
    """N + 1 levels evenly in time from the noisiest to the cleanest, the cleanest left out (Stability's SGM)."""

    rounded: bool = Field(default=False, description="down to whole timesteps, as Stability's own code does")

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        if not self.rounded:
            return tuple(at_fraction(process, (steps - i) / steps) for i in range(steps))
        top = trained_timesteps(self, process) - 1
        return tuple(process.at(timestep=math.floor(top * (steps - i) / steps)) for i in range(steps))


class Simple(SigmaSchedule):
    """Every T/N-th level of the table from its noisy end, rounded towards it: T − 1 − ⌊i·T/N⌋.

    In continuous time t = 1 − i/N.
    """

    discrete: ClassVar[bool] = True

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        total = process.timesteps
        if total is None:
            return tuple(at_fraction(process, (steps - i) / steps) for i in range(steps))
        return tuple(process.at(timestep=total - 1 - i * total // steps) for i in range(steps))
