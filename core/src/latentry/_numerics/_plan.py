"""A plan: a scheduler laid out on a grid. Frozen, shareable between threads, good for any number of runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from latentry._discovery._calls import host_callback
from latentry._errors import IncompatibleError, OptionError
from latentry._numerics._grids._sigma_schedule import ExactSigmas, SigmaSchedule
from latentry._numerics._layout import Hook, Layout
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._processes._process import Process
from latentry._numerics._running._noise import Clock, KeyedNoise, NoiseSource
from latentry._numerics._running._run import Run
from latentry._numerics._running._state import RunState
from latentry._numerics._step import StepMethod
from latentry._numerics._table._table import Table
from latentry._specs import Final

InitialNoise = Literal["unit", "sigma"]
"""How the noise a run begins from is scaled, see ``Plan.noise_scale``."""


@dataclass(frozen=True)
class Plan(Layout):
    """A scheduler on N intervals between N + 1 boundaries.

    A slice of a plan is a plan: image to image leaves out the noisiest steps. ``reversed`` goes from clean to noisy.
    Two equal boundaries make an empty interval, which a run skips without an evaluation.

    Attributes:
        scheduler: the sampler.
        process: how the checkpoint's noise was added.
        prediction: what its network emits.
        points: the boundaries, each no noisier than the one before (or each no cleaner, reversed).
        hooks: applied in order to every evaluation.
    """

    def __getitem__(self, steps: slice) -> Plan:
        """The plan of some consecutive steps: ``plan[5:]`` leaves out the five noisiest."""
        start, stop, stride = steps.indices(len(self))
        if stride != 1:
            raise ValueError("a plan can only be sliced with a step of 1")
        return replace(self, points=self.points[start : stop + 1])

    def reversed(self) -> Plan:
        """The same boundaries from clean to noisy, for inversion."""
        return replace(self, points=self.points[::-1])

    def start(
        self,
        x: Tensor,
        *,
        seed: int = 0,
        samples: Sequence[int] | None = None,
        noise: NoiseSource | None = None,
        table: bool | Literal["fused"] = True,
    ) -> Run:
        """A run from a sample at the plan's first level.

        Args:
            x: (batch, …); half precision becomes float32, float64 stays float64.
            seed: seed of the run's noise.
            samples: the index of each row within the request, part of its noise's key; 0, 1, … by default.
            noise: the caller's own source of noise instead.
            table: False runs the scheduler's generators where the plan is a table too; the result is the same.
                ``fused`` walks the table with the fewest terms: faster, and the same but for rounding (see ``table``).
                It keeps outputs for later steps as they are given: the host must not write into them afterwards.

        Raises:
            IncompatibleError: an adaptive scheduler was given more than one sample.
        """
        return Run(self, x, self._source(noise, x, seed, samples), table=table)

    def resume(
        self,
        state: RunState,
        *,
        seed: int = 0,
        samples: Sequence[int] | None = None,
        noise: NoiseSource | None = None,
        table: bool | Literal["fused"] = True,
    ) -> Run:
        """Continues a run from ``Run.state()``: bit for bit the same result, given the same noise.

        Arguments as for ``start``.

        Raises:
            IncompatibleError: the state belongs to another plan.
        """
        if state.plan != self.fingerprint:
            raise IncompatibleError(
                "The saved run belongs to another plan.",
                why=f"It was made with {state.plan}; this plan is {self.fingerprint}.",
                remedy="Resume with the scheduler, options, grid and prediction type it was started with.",
            )
        x, memory, draws, answers = state.unpack(self.scheduler.Memory)
        source = self._source(noise, x, seed, samples)
        return Run(
            self,
            x,
            source,
            index=state.index,
            point=state.point,
            memory=memory,
            draws=draws,
            answers=answers,
            table=table,
        )

    @staticmethod
    def _source(given: NoiseSource | None, x: Tensor, seed: int, samples: Sequence[int] | None) -> NoiseSource:
        """The caller's noise, whose errors are the caller's and not the scheduler's; by default keyed noise."""
        if given is not None:
            return host_callback(given)
        return KeyedNoise(seed, range(x.shape[0]) if samples is None else samples)

    def noise_scale(self, convention: InitialNoise = "unit") -> float:
        """What standard normal noise is multiplied by to begin.

        ``unit`` gives x the variance the process has at its noisy end: 1 where that is bounded (σ of the first level
        on EDM). ``sigma`` is σ of the first level itself, as diffusers' Euler does it on linspace and trailing grids.
        """
        first = self.points[0].sigma
        return first if convention == "sigma" else max(1.0, first)

    @cached_property
    def queries(self) -> tuple[Query, ...] | None:
        """Every evaluation in order, its sample one number 0; None if the grid is chosen at run time."""
        if self.scheduler.adaptive:
            return None
        table = self.table()
        if isinstance(table, Table):
            return _queries(table)
        # v is the one prediction that is defined at both ends
        dry = replace(self, prediction=Prediction.V, hooks=())
        run = Run(dry, torch.zeros(1, 1, dtype=torch.float64), _no_noise, table=False)
        found: list[Query] = []
        while (query := run.query) is not None:
            found.append(query)
            run.advance(torch.zeros_like(query.x), uncond=torch.zeros_like(query.x))
        return tuple(found)

    @cached_property
    def off_grid(self) -> Query | None:
        """The first evaluation at a noise level that is not a boundary; None if there is none, or if unknown."""
        levels = [point.lam for point in self.points]
        asked = (query for query in self.queries or ())
        return next((q for q in asked if not any(math.isclose(q.point.lam, lam, abs_tol=1e-9) for lam in levels)), None)

    @property
    def evaluations(self) -> int | None:
        """How many evaluations a run takes; None where that is decided at run time."""
        return None if self.queries is None else len(self.queries)

    @property
    def evaluations_by_step(self) -> tuple[int, ...] | None:
        """Evaluations of each step; None where that is decided at run time."""
        if self.queries is None:
            return None
        counts = Counter(query.index for query in self.queries)
        return tuple(counts[i] for i in range(len(self)))


def lay_out(
    scheduler: StepMethod,
    steps: int | None,
    process: Process,
    prediction: Prediction,
    sigmas: SigmaSchedule,
    final: Final,
    hooks: tuple[Hook, ...],
) -> Plan:
    """Makes a plan of the N levels at which steps start, from the rule, and the level at which the last one ends."""
    check_parts(steps, process, prediction)
    assert steps is not None
    if final not in get_args(Final):
        raise OptionError(f"{final!r} is not an ending.", remedy=f"Use {' or '.join(map(repr, get_args(Final)))}.")
    end = process.clean() if final == "zero" else process.cleanest
    points = (*_starts(sigmas, int(steps), process, end), end)
    if points[0].lam == end.lam:
        raise OptionError(
            "The sigmas leave no step to take.",
            why=f"Every step would start at σ/α = {end.s:.4g}, where the run ends.",
            remedy="Give at least one noise level above that.",
        )
    return Plan(scheduler, process, Prediction(prediction), points, hooks)


def check_parts(steps: int | None, process: Process, prediction: Prediction) -> None:
    """Refuses what steps cannot be laid out from.

    Raises:
        OptionError: one of them is of the wrong kind.
    """
    if not isinstance(steps, Integral) or steps < 1:
        what = "The number of steps is missing." if steps is None else f"{steps!r} is not a number of steps."
        raise OptionError(what, remedy="Ask for a whole number of steps, at least 1.")
    if not isinstance(process, Process):
        raise OptionError(f"{process!r} is not a noise process.", remedy="Give one, for example Flow().")
    if prediction not in list(Prediction):
        raise OptionError(f"{prediction!r} is not a prediction type.", remedy=f"Use one of {', '.join(Prediction)}.")


def _starts(sigmas: SigmaSchedule, steps: int, process: Process, end: Point) -> tuple[Point, ...]:
    """The levels at which steps start.

    The last level of some rules (Karras, linspace, …) is the end itself where that is the table's cleanest level. They
    lay out one level more, so that there are as many steps as were asked for. A caller's own list stays as it is.
    """
    points = sigmas.points(steps, process)
    if points[-1].lam != end.lam or isinstance(sigmas, ExactSigmas):
        return points
    try:
        return sigmas.points(steps + 1, process)[:-1]
    except OptionError as error:
        raise OptionError(
            f"{type(sigmas).__name__} cannot lay out {steps} steps that end at the table's cleanest level.",
            why=f"It would need {steps + 1} levels.",
            remedy="Ask for fewer steps, or for final='zero'.",
        ) from error


def _queries(table: Table) -> tuple[Query, ...]:
    zero = torch.zeros(1, dtype=torch.float64)
    return tuple(
        Query(zero, asked.point, asked.timestep, step.index, stage)
        for step in table.steps
        for stage, asked in enumerate(step.evaluations)
    )


def _no_noise(like: Tensor, interval: int, draw: int, clock: Clock | None) -> Any:
    return torch.zeros_like(like)
