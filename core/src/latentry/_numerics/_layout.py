"""A step method laid out on a grid, as data."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from latentry._errors import IncompatibleError, OptionError
from latentry._numerics._denoised import Denoised
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._processes._process import Process
from latentry._numerics._step import StepMethod
from latentry._numerics._table._record import Recording, record, with_fewest_terms
from latentry._numerics._table._table import NoTable, Table

Hook = Callable[[Denoised], Denoised]
"""Applied to every evaluation before the solver sees it: thresholding, blending."""
ROUNDING = 1e-5
"""How far apart in λ two levels are at most that are one but for float32."""


@dataclass(frozen=True)
class Layout:
    """What a run follows; ``Plan`` adds what makes runs.

    Attributes:
        scheduler: the sampler.
        process: how the checkpoint's noise was added.
        prediction: what its network emits.
        points: the boundaries, each no noisier than the one before (or each no cleaner, reversed).
        hooks: applied in order to every evaluation.
    """

    scheduler: StepMethod
    process: Process
    prediction: Prediction
    points: tuple[Point, ...]
    hooks: tuple[Hook, ...] = ()

    def __post_init__(self) -> None:
        lams = [point.lam for point in self.points]
        if len(lams) < 2:
            raise OptionError("A plan needs at least one step.", remedy="Ask for one step or more.")
        if lams != sorted(lams) and lams != sorted(lams, reverse=True):
            raise IncompatibleError(
                "The noise levels of a plan must fall from step to step.",
                why=f"They are, as σ/α: {', '.join(f'{p.s:.4g}' for p in self.points)}.",
                remedy="Sort the sigmas from noisiest to cleanest.",
            )
        self._refuse_blind_evaluations()

    def _refuse_blind_evaluations(self) -> None:
        starts = self.points[:-1]
        if self.prediction is Prediction.EPSILON and any(point.alpha == 0.0 for point in starts):
            raise IncompatibleError(
                "A model that predicts noise cannot start from pure noise (zero terminal SNR).",
                why="Where α = 0 the sample is the noise, so the prediction carries no information.",
                remedy="Use a v-prediction checkpoint, or a process without zero-terminal-SNR rescaling.",
            )
        if self.prediction is Prediction.X0 and any(point.sigma == 0.0 for point in starts):
            raise IncompatibleError(
                "A model that predicts x₀ cannot give the noise at σ = 0.",
                remedy="Begin at a level with some noise.",
            )

    def __len__(self) -> int:
        return len(self.points) - 1

    def interval_of(self, point: Point) -> int:
        """The index of the interval that a level lies in; a boundary belongs to the one that starts there.

        A level may be off by what float32 rounds away, and is taken for the boundary all the same.
        """
        way = 1.0 if self.points[-1].lam >= self.points[0].lam else -1.0
        index = bisect_right([way * each.lam for each in self.points], way * point.lam + ROUNDING) - 1
        return min(max(index, 0), len(self) - 1)

    def table(self, *, fused: bool = False) -> Table | NoTable:
        """The plan as numbers: for each evaluation the combination that makes its query, and for each step the one
        that makes the next sample.

        Recorded once, by running the scheduler's generators on symbols. A ``NoTable`` (false) says why there is none:
        hooks and thresholding are not linear, and adaptive schedulers have no fixed grid. It holds for real answers:
        a run that is given one that a step cache made up goes on without it.

        Args:
            fused: with the fewest terms. A run on such a table differs from one of the generators by rounding: by less
                than 2e-6 in float32 and 1e-13 in float64, relative to the largest value on the way.
        """
        recording = self.fused if fused else self.recording
        return recording.table if isinstance(recording, Recording) else recording

    @cached_property
    def recording(self) -> Recording | NoTable:
        """What a run walks."""
        if self.hooks:
            return NoTable("The plan has hooks on its evaluations, which need not be linear.")
        return record(self.scheduler, self.process, self.prediction, self.points)

    @cached_property
    def fused(self) -> Recording | NoTable:
        """What a run walks that is asked for the fewest terms."""
        recording = self.recording
        return with_fewest_terms(recording) if isinstance(recording, Recording) else recording

    @cached_property
    def fingerprint(self) -> str:
        """Text that is equal for equal plans: scheduler, options, prediction type and levels, but not the hooks."""
        levels = ", ".join(p.lam.hex() if math.isfinite(p.lam) else str(p.lam) for p in self.points)
        return f"{self.scheduler!r} {self.process.kind} {self.prediction} [{levels}]"
