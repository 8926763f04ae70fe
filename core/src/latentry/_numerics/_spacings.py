"""The three ways to pick N of a checkpoint's discrete timesteps (Lin et al. 2023, arXiv:2305.08891, table 2)."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from latentry._errors import IncompatibleError, OptionError
from latentry._numerics._point import Point
from latentry._numerics._process import Process
from latentry._numerics._sigma_schedule import SigmaSchedule


class Leading(SigmaSchedule):
    """Every ⌊T/N⌋-th timestep counted from the clean end: Stable Diffusion's own grid; begins short of T − 1."""

    offset: int = Field(1, ge=0, description="added to every timestep; 1 for Stable Diffusion, 0 for DDPM")

    def points(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        total = _timesteps(self, steps, process)
        stride = total // steps
        return _at(process, (min(i * stride + self.offset, total - 1) for i in reversed(range(steps))))


class Linspace(SigmaSchedule):
    """N timesteps evenly from T − 1 down to 0, both included."""

    rounded: bool = Field(False, description="to whole timesteps, as diffusers' DDIM does; its Euler does not")

    def points(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        total = _timesteps(self, steps, process)
        if steps == 1:
            return (process.noisiest,)
        spaced = ((total - 1) * i / (steps - 1) for i in reversed(range(steps)))
        return _at(process, (float(round(t)) if self.rounded else t for t in spaced))


class Trailing(SigmaSchedule):
    """Every T/N-th timestep counted from the noisy end: begins at T − 1, as few-step and zero-SNR models need."""

    def points(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        total = _timesteps(self, steps, process)
        return _at(process, (round(total - i * total / steps) - 1 for i in range(steps)))


def _timesteps(schedule: SigmaSchedule, steps: int, process: Process) -> int:
    name = type(schedule).__name__.lower()
    if process.timesteps is None:
        raise IncompatibleError(
            f"The sigma schedule {name!r} picks from discrete timesteps, and this process has none.",
            why=f"The checkpoint's noise process is {process.kind!r}, whose time is continuous.",
            remedy="See `latentry sigmas` for schedules that list this process.",
        )
    if not 1 <= steps <= process.timesteps:
        raise OptionError(
            f"{steps} steps cannot be laid out with {name!r}.",
            why=f"The checkpoint was trained on {process.timesteps} timesteps, each of which is used once at most.",
            remedy=f"Ask for 1 to {process.timesteps} steps.",
        )
    return process.timesteps


def _at(process: Process, timesteps: Iterable[float]) -> tuple[Point, ...]:
    return tuple(process.at(timestep=t) for t in timesteps)
