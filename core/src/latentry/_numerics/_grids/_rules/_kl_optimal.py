"""The schedule that is optimal in closed form."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from latentry._numerics._grids._ranged import Ranged


class KLOptimal(Ranged):
    """Even in arctan s, optimal for a Gaussian (Sabour et al. 2024, Align Your Steps, arXiv:2404.14507, theorem 3.1).

    Pure noise is the angle π/2, so a range that begins there needs no finite start.
    """

    finite: ClassVar[bool] = False

    def between(self, high: float, low: float, steps: int) -> Iterable[float]:
        """See ``Ranged``."""
        top, bottom = math.atan(high), math.atan(low)
        return (math.tan(top + i / (steps - 1) * (bottom - top)) for i in range(steps))
