"""Restart sampling."""

from __future__ import annotations

import math
from collections.abc import Generator
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from torch import Tensor

from latentry import Denoised, Interval, Noise, Point, Query, Scheduler, Step
from latentry.solvers import GuardedStages, heun_step, raised_sample

SPACING = 7.0
"""ρ of the levels within a restart (Karras et al. 2022, arXiv:2206.00364, eq. 5)."""


class Begun(NamedTuple):
    """The level s = σ/α that the run began at; 0 before the run has begun. No restart goes above it."""

    s: float = 0.0


class Restart(GuardedStages, Scheduler):
    """Restart sampling (Xu et al. 2023, arXiv:2306.14878, algorithm 1) with Heun's method.

    At σ/α = ``restart_min`` noise is added up to ``restart_max`` and removed again, ``restarts`` times. Errors made on
    the way down fade with the noise, and the ODE in between makes few new ones. Levels are σ/α on every process.

    All of it happens in the step that crosses ``restart_min``, at levels of its own. Order 2, two evaluations a step;
    that step takes 4 + 2·restarts·restart_steps, and stops at ``restart_min`` whatever the grid is.
    """

    Memory: ClassVar[type] = Begun

    restart_min: float = Field(default=0.3, gt=0.0, description="t_min: the σ/α at which noise is added again")
    restart_max: float = Field(default=1.0, gt=0.0, description="t_max: the σ/α that it is added up to")
    restarts: int = Field(default=1, ge=1, le=20, description="K: number of restarts")
    restart_steps: int = Field(default=4, ge=1, le=100, description="N_Restart: steps on the way down, each time")
    noise_scale: float = Field(default=1.0, gt=0.0, le=100.0, description="S_noise: multiplies the added noise")
    clock: Literal["t", "s"] = Field(
        default="t", description="what slopes are averaged over: t = σ/(α + σ), a rectified flow's time, or s = σ/α"
    )
    longest_step: float = Field(
        default=math.inf, gt=0.0, description="longest step in λ at full order; longer steps are first order"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.restart_min < self.restart_max:
            raise ValueError(
                f"restart_min is {self.restart_min:g} and restart_max {self.restart_max:g}: noise is added"
            )
        return self

    def step(self, x: Tensor, interval: Interval, memory: Begun, noise: Noise) -> Step:
        """Heun's step; the one that crosses ``restart_min`` is divided there by the restarts."""
        start, end = interval.start, interval.end
        begun = memory if memory.s > 0.0 else Begun(start.s)
        low, top = interval.at(s=self.restart_min), interval.at(s=min(self.restart_max, begun.s))
        if start.lam <= low.lam < end.lam and top.lam < low.lam:
            if start.lam < low.lam:
                x = yield from self._down(x, start, low)
            for _ in range(self.restarts):
                x = raised_sample(x, low, top, noise(), self.noise_scale)
                x = yield from self._way(x, top, low, interval)
            start = low
        x = yield from self._down(x, start, end)
        return x, begun

    def _way(self, x: Tensor, top: Point, low: Point, interval: Interval) -> Generator[Query, Denoised, Tensor]:
        """Goes from one level to the other in ``restart_steps`` steps, even in s^(1/ρ)."""
        a, b, count = top.s ** (1 / SPACING), low.s ** (1 / SPACING), self.restart_steps
        inner = [interval.at(s=(a + (b - a) * i / count) ** SPACING) for i in range(1, count)]
        for start, end in pairwise([top, *inner, low]):
            x = yield from self._down(x, start, end)
        return x

    def _down(self, x: Tensor, start: Point, end: Point) -> Generator[Query, Denoised, Tensor]:
        return (yield from heun_step(self, x, start, end, self.clock, self.longest_step))
