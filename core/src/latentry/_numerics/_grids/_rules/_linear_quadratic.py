"""Even steps at first, then larger and larger ones."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from latentry._errors import OptionError
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process
from latentry._specs import ProcessKind


class LinearQuadratic(SigmaSchedule):
    """t falls linearly from 1 to 1 − τ over L steps, then as a parabola with the same slope at the joint (Polyak et al.
    2024, Movie Gen, arXiv:2410.13720; with these parameters Mochi and LTX-Video).

    With j = i − L ≥ 0: 1 − t = τ + (τ/L)·j + a·j², a such that t = 0 after N steps.
    """

    kinds: ClassVar[frozenset[ProcessKind]] = frozenset({"flow"})

    threshold: float = Field(default=0.025, gt=0.0, lt=1.0, description="τ: noise that the linear steps remove")
    linear_steps: int | None = Field(default=None, ge=1, description="L: how many steps are linear; by default ⌊N/2⌋")

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        linear = steps // 2 if self.linear_steps is None else self.linear_steps
        if steps == 1 and self.linear_steps is None:
            return (process.noisiest,)
        slope, bent = self.threshold / max(linear, 1), max(steps - linear, 1)
        curve = (1.0 - self.threshold - slope * bent) / bent**2
        if linear >= steps or slope + 2.0 * curve * bent <= 0.0:
            raise OptionError(
                f"{steps} steps do not give falling noise levels, {linear} of them linear down to "
                f"t = {1.0 - self.threshold:g}.",
                why="The steps after the linear ones would have to go beyond t = 0 and come back.",
                remedy="Lower the threshold, or set linear_steps to about half the steps.",
            )
        removed = (slope * i + curve * max(i - linear, 0) ** 2 for i in range(steps))
        return tuple(process.customary(1.0 - r) for r in removed)
