"""Even steps of the network's time, by three conventions (Lin et al. 2023, arXiv:2305.08891, table 2)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from latentry._errors import IncompatibleError
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._grids._time import at_fraction
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process
from latentry._specs import ProcessKind


class Leading(SigmaSchedule):
    """Every ⌊T/N⌋-th timestep counted from the clean end: Stable Diffusion's own grid; begins short of T − 1.

    A single step begins at T − 1: at the first timestep from the clean end it would give the noise back.
    """

    kinds: ClassVar[frozenset[ProcessKind]] = frozenset({"vp"})
    discrete: ClassVar[bool] = True

    offset: int = Field(default=1, ge=0, description="added to every timestep; 1 for Stable Diffusion, 0 for DDPM")
    multistep: bool = Field(
        default=False,
        description="stride ⌊T/(N+1)⌋ with timestep 0 left out, as diffusers' DPM++, UniPC and DEIS have it",
    )

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        total = trained_timesteps(self, process)
        if steps == 1:
            return (process.noisiest,)
        skipped = int(self.multistep)
        stride = total // (steps + skipped)
        wanted = ((i + skipped) * stride + self.offset for i in reversed(range(steps)))
        return tuple(process.at(timestep=min(t, total - 1)) for t in wanted)


class Linspace(SigmaSchedule):
    """N levels evenly in time from the noisiest to the cleanest, both included.

    A flow model's cleanest level is σ = 0, where a run ends and no step starts; there the last step starts at ``last``.
    """

    discrete: ClassVar[bool] = True

    rounded: bool = Field(default=False, description="to whole timesteps, as diffusers' DDIM does; its Euler does not")
    multistep: bool = Field(
        default=False, description="N + 1 levels, the cleanest left out, as diffusers' DPM++, UniPC and DEIS have it"
    )
    last: float = Field(default=0.001, gt=0.0, lt=1.0, description="on flow: t of the cleanest level")

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        pieces = steps if self.multistep else steps - 1
        if pieces == 0:
            return (process.noisiest,)
        if self.rounded:
            top = trained_timesteps(self, process) - 1
            return tuple(process.at(timestep=round(top * (pieces - i) / pieces)) for i in range(steps))
        low = self.last if process.cleanest.sigma == 0.0 else 0.0
        return tuple(at_fraction(process, low + (1.0 - low) * (pieces - i) / pieces) for i in range(steps))


class Trailing(SigmaSchedule):
    """Every T/N-th timestep counted from the noisy end: begins at T − 1, as few-step and zero-SNR models need.

    In continuous time t = 1 − i/N: on a flow FLUX.1's and SD3's own grid, 1, …, 1/N.
    """

    discrete: ClassVar[bool] = True

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        total = process.timesteps
        if total is None:
            return tuple(at_fraction(process, (steps - i) / steps) for i in range(steps))
        return tuple(process.at(timestep=round(total - i * total / steps) - 1) for i in range(steps))


def trained_timesteps(schedule: SigmaSchedule, process: Process) -> int:
    """How many discrete timesteps the process has.

    Raises:
        IncompatibleError: its time is continuous.
    """
    if process.timesteps is None:
        raise IncompatibleError(
            f"{type(schedule).__name__} picks whole timesteps with these options; this process has continuous time.",
            why=f"The checkpoint's noise process is {process.kind!r}.",
            remedy="Leave the option `rounded` out.",
        )
    return process.timesteps
