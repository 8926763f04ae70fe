"""Beta sampling: quantiles of a beta distribution, laid out in time or in σ."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from latentry._numerics._grids._ranged import Ranged
from latentry._numerics._grids._rules._beta_quantile import beta_quantile
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._grids._spacings import trained_timesteps
from latentry._numerics._grids._time import at_fraction
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process


class Beta(SigmaSchedule):
    """Times at the quantiles 1 − i/N of Beta(α, β): many steps at both ends (Lee et al. 2024, arXiv:2407.12173).

    Time is what the paper samples, and ComfyUI after it; ``BetaSigmas`` is the other rule of that name.
    """

    alpha: float = Field(default=0.6, gt=0.0, le=100.0, description="α: the lower, the more steps at the clean end")
    beta: float = Field(default=0.6, gt=0.0, le=100.0, description="β: the lower, the more steps at the noisy end")
    rounded: bool = Field(default=False, description="to whole timesteps, as ComfyUI does; a repeated one is skipped")

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        """See ``SigmaSchedule``."""
        times = beta_quantile([(steps - i) / steps for i in range(steps)], self.alpha, self.beta)
        if not self.rounded:
            return tuple(at_fraction(process, u) for u in times)
        top = trained_timesteps(self, process) - 1
        return tuple(process.at(timestep=round(top * u)) for u in times)


class BetaSigmas(Ranged):
    """s itself at the quantiles 1 − i/(N − 1) of Beta(α, β), scaled to the range: AUTOMATIC1111's, Forge's and
    diffusers' rule, some four times noisier than ``Beta`` in mid-range.
    """

    alpha: float = Field(default=0.6, gt=0.0, le=100.0, description="α: the lower, the more steps at the clean end")
    beta: float = Field(default=0.6, gt=0.0, le=100.0, description="β: the lower, the more steps at the noisy end")

    def between(self, high: float, low: float, steps: int) -> Iterable[float]:
        """See ``Ranged``."""
        parts = beta_quantile([1.0 - i / (steps - 1) for i in range(steps)], self.alpha, self.beta)
        return (low + u * (high - low) for u in parts)
