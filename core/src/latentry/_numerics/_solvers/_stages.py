"""Exponential Runge-Kutta methods of the reverse SDE: several evaluations a step, all of them on one noise path."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import ClassVar

from torch import Tensor

from latentry._numerics._denoised import Denoised
from latentry._numerics._interval import Interval, Node
from latentry._numerics._linear import combine
from latentry._numerics._processes._point import Query
from latentry._numerics._running._noise import Noise
from latentry._numerics._solvers._ancestral import Ancestral, ancestral
from latentry._numerics._solvers._exponential import Rule, exponential_sde_step
from latentry._numerics._solvers._guard import INNER, Guarded


class StagedSDE(Ancestral, Guarded):
    """The options of ``exponential_stages``. A scheduler inherits from this class and from ``Scheduler``."""

    guard_slack: ClassVar[float] = INNER


def exponential_stages(
    sde: StagedSDE, x: Tensor, interval: Interval, noise: Noise, places: Sequence[float], rules: Sequence[Rule]
) -> Generator[Query, Denoised, Tensor]:
    """One step: from its start to each inner level, and then to its end, with x̂₀ linear in λ through the evaluation at
    the start and the newest one (DPM-Solver++, arXiv:2211.01095, algorithm 1; SEEDS, arXiv:2305.14267).

    What the stages see as noise is one path. With independent draws for a part and for the whole of the step the weak
    order would be 1. Where the step leaves α = 0 or reaches σ = 0 it is of first order, with one evaluation.

    Args:
        sde: how much noise is replaced, with η = 0 the step is the ODE's; and how far it may extrapolate.
        x: the sample at the interval's start.
        interval: the step.
        noise: of the step.
        places: where in λ the inner levels lie, as parts of the step, ascending, at most 1.
        rules: the weights of all but the first stage, the end's included.

    Returns:
        the sample at the interval's end.
    """
    start, end = interval.start, interval.end
    denoised = yield start.query(x)
    if interval.singular:
        below, deviation = sde.lowered(interval)
        return sde.renoised(denoised.at(below), deviation, interval, noise)
    # on the end itself, not within rounding of it
    inner = [end if place == 1.0 else interval.at(lam=start.lam + place * interval.h) for place in places]
    levels = [*inner, end]
    drawn = sde.lowered(interval)[1] > 0.0
    paths = along_path(noise, [sde.clock(point) for point in (start, *levels)]) if drawn else ()
    latest, first = denoised, Node(start, denoised.x0)
    newest = first
    for stage, level in enumerate(levels):
        below, deviation = ancestral(start, level, sde.eta, sde.eta_rule)
        if stage == 0:
            y = denoised.at(below)
        else:
            full = exponential_sde_step(x, start, level, below, (first, newest), rules[stage - 1])
            y = sde.drawn_back(full, latest, below, first=denoised.at(below), start=start)
        if drawn:
            y = combine((1.0, y), (sde.noise_scale * deviation, paths[stage]))
        if stage < len(inner):
            latest = yield level.query(y)
            newest = Node(level, latest.x0)
    return y


def along_path(noise: Noise, times: Sequence[float]) -> tuple[Tensor, ...]:
    """One Brownian path from the first time to each of the others, as standard normal noise: W(t)/√(t − t₀).

    Args:
        noise: of the step.
        times: of the step's clock, the first below the others, which ascend; equal ones have the same noise.
    """
    begin, before = times[:2]
    found = [noise(begin, before)]
    for time in times[2:]:
        path = found[-1]
        if time > before:
            share = (before - begin) / (time - begin)
            path = combine((math.sqrt(share), path), (math.sqrt(1.0 - share), noise(before, time)))
        found.append(path)
        before = time
    return tuple(found)
