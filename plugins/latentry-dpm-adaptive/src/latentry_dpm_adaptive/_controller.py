"""How long the next step may be, by the errors of the last ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

TINY = 1e-8
"""Added to an error, so that its inverse exists."""


@dataclass(frozen=True)
class Controller:
    """A PID controller of the step size on log(1/error) (Söderlind 2003, "Digital filters in adaptive time-stepping",
    ACM Transactions on Mathematical Software 29).

    Attributes:
        proportional: coefficient of the proportional part.
        integral: coefficient of the integral part; alone it is the paper's elementary control, h ∝ error^(−1/order).
        derivative: coefficient of the derivative part.
        order: order of the error estimate.
    """

    proportional: float
    integral: float
    derivative: float
    order: int

    def factor(self, error: float, before: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
        """The factor for the step size, and the inverse errors to remember if the step is accepted.

        Args:
            error: of this step, relative to the tolerance.
            before: inverse errors of the last two accepted steps, newest first; empty at the start.

        Returns:
            a factor between 0.2 and 2.6, which a limiter keeps it to; and (1/error, 1/error before).
        """
        inverse = 1.0 / (error + TINY)
        last, older = before or (inverse, inverse)
        p, i, d = (value / self.order for value in (self.proportional, self.integral, self.derivative))
        wanted = inverse ** (p + i + d) * last ** (-p - 2.0 * d) * older**d
        return 1.0 + math.atan(wanted - 1.0), (inverse, last)
