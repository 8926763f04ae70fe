"""The timesteps that distilled models were trained on."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from latentry._errors import OptionError
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._grids._spacings import trained_timesteps
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process
from latentry._specs import ProcessKind


class Distilled(SigmaSchedule):
    """N of the timesteps k, 2k, … , T less one that a model was distilled on, evenly from the noisiest.

    Latent consistency models know 50 of a thousand (Luo et al. 2023, arXiv:2310.04378, section 4.3), TCD as well.
    """

    kinds: ClassVar[frozenset[ProcessKind]] = frozenset({"vp"})
    discrete: ClassVar[bool] = True
    absolute: ClassVar[bool] = True

    known: int = Field(default=50, ge=1, description="how many timesteps the model was distilled on")

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        stride = trained_timesteps(self, process) // self.known
        if stride == 0 or steps > self.known:
            raise OptionError(
                f"{steps} steps cannot be laid out with 'distilled'.",
                why=f"It knows {self.known} of {process.timesteps} timesteps, and each can be used only once.",
                remedy=f"Ask for 1 to {min(self.known, process.timesteps or self.known)} steps.",
            )
        return tuple(process.at(timestep=(self.known - i * self.known // steps) * stride - 1) for i in range(steps))
