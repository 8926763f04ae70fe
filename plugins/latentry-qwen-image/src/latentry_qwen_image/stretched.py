"""Qwen-Image's own grid: a trailing grid whose last step begins at a given level."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from latentry import Point, Process, ProcessKind
from latentry.sigmas import SigmaSchedule, Trailing, shifted


class Stretched(SigmaSchedule):
    """The trailing grid after the time shift, 1 − t scaled so that the last step begins at t = ``terminal``.

    diffusers' flow schedulers do this where their configuration has a ``shift_terminal``.
    """

    kinds: ClassVar[frozenset[ProcessKind]] = frozenset({"flow"})

    terminal: float = Field(default=0.02, gt=0.0, lt=1.0, description="time at which the last step begins")

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``; the shift that is applied to these afterwards is taken back here."""
        trailing = Trailing().levels(steps, process)
        times = [shifted(point, self.shift, process).sigma for point in trailing]
        if steps == 1:
            return trailing
        scale = (1.0 - self.terminal) / (1.0 - times[-1])
        wanted = (1.0 - (1.0 - time) * scale for time in times[1:])
        stretched = (process.at(s=time / (1.0 - time)) for time in wanted)
        return (trailing[0], *(shifted(point, 1.0 / self.shift, process) for point in stretched))
