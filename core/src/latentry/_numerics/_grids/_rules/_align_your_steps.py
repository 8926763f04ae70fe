"""Schedules that were optimised for one checkpoint."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from latentry._errors import IncompatibleError
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process
from latentry._specs import ProcessKind

TABLES = {
    "sd15": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
    "svd": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}
"""σ/α at the boundaries of ten steps, as the authors publish them for three checkpoints."""


class AlignYourSteps(SigmaSchedule):
    """The authors' ten-step tables, interpolated in log s to other counts (Sabour et al. 2024, arXiv:2404.14507).

    The table's last level is an ending, which the plan chooses, so N steps start at the first N of N + 1 levels.
    """

    kinds: ClassVar[frozenset[ProcessKind]] = frozenset({"vp", "edm"})
    absolute: ClassVar[bool] = True

    model: Literal["sd15", "sdxl", "svd"] = Field(
        default="sd15", description="the checkpoint the table was optimised for"
    )

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        table = TABLES[self.model]
        self._refuse_other_range(table[0], process)
        places = np.linspace(0.0, 1.0, len(table))
        wanted = np.arange(steps, dtype=np.float64) / steps
        return tuple(process.at(s=s) for s in np.exp(np.interp(wanted, places, np.log(table))).tolist())

    def _refuse_other_range(self, top: float, process: Process) -> None:
        trained = process.noisiest.s
        if not 0.5 * trained <= top <= 1.001 * trained:
            raise IncompatibleError(
                f"The table of {self.model!r} does not fit this checkpoint.",
                why=f"The table begins at σ/α = {top:g}, the checkpoint's training at {trained:.4g}.",
                remedy="Choose another `model`, or KLOptimal, which fits any range.",
            )
