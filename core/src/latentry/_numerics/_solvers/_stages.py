"""Exponential Runge-Kutta methods of the reverse SDE: several evaluations a step, all of them on one noise path."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from latentry._numerics._denoised import Denoised
from latentry._numerics._interval import Interval, Node
from latentry._numerics._linear import combine
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._processes._process import lam_of
from latentry._numerics._running._noise import Noise
from latentry._numerics._solvers._ancestral import Ancestral, ancestral
from latentry._numerics._solvers._exponential import Rule, exponential_step, sde_weights
from latentry._numerics._solvers._fitted import NormalData
from latentry._numerics._solvers._guard import FITTED, INNER, Guarded
from latentry._numerics._solvers._weights import exponential_weights


class StagedSDE(Ancestral, Guarded):
    """The options of ``exponential_stages``. A scheduler inherits from this class and from ``Scheduler``."""

    guard_slack: ClassVar[float] = INNER


def exponential_stages(
    sde: StagedSDE,
    x: Tensor,
    interval: Interval,
    noise: Noise,
    places: Sequence[float],
    rules: Sequence[Rule],
    *,
    fitted: bool = False,
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
        fitted: make each stage exact on data of N(0, 1) instead (``NormalData``), and where the guard draws it back, go
            on by a first-order step from the evaluation before.

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
    return (yield from _run_stages(sde, x, denoised, [*inner, end], noise, rules, fitted))


def _run_stages(
    sde: StagedSDE,
    x: Tensor,
    denoised: Denoised,
    levels: Sequence[Point],
    noise: Noise,
    rules: Sequence[Rule],
    fitted: bool,
) -> Generator[Query, Denoised, Tensor]:
    """The stages of ``exponential_stages``, from the level of ``denoised`` to each of ``levels``."""
    start = denoised.point
    aims = [ancestral(start, level, sde.eta, sde.eta_rule) for level in levels]
    drawn = aims[-1][1] > 0.0
    times = [sde.clock(point) for point in (start, *levels)]
    paths = along_path(noise, times) if drawn else ()
    normal = NormalData(start, shares_of_path(times) if drawn else ()) if fitted else None
    latest, nodes = denoised, [Node(start, denoised.x0)]
    for stage, (level, (below, deviation)) in enumerate(zip(levels, aims, strict=True)):
        weights = sde_weights(start, level, below, nodes, rules[stage - 1] if stage else exponential_weights)
        if normal is not None:
            weights = normal.next_weights(weights, below, level, deviation)
        if stage == 0:
            y = denoised.at(below)
        else:
            full = exponential_step(x, start, below, weights, [node.value for node in nodes])
            first, slack = denoised.at(below), sde.guard_slack
            if fitted:
                before, seen = aims[stage - 1]
                path = (-sde.noise_scale * seen, paths[stage - 1]) if drawn else None
                first, slack = _first_order_from(latest, before, below, path), FITTED
            y = sde.drawn_back(full, latest, below, first=first, start=start, slack=slack)
        if drawn:
            y = combine((1.0, y), (sde.noise_scale * deviation, paths[stage]))
        if stage < len(levels) - 1:
            latest = yield level.query(y)
            nodes = [nodes[0], Node(level, latest.x0)]
    return y


def _first_order_from(latest: Denoised, before: Point, below: Point, path: tuple[float, Tensor] | None) -> Tensor:
    """The first-order step from the newest evaluation on, as far as ``below`` is from ``before``, where that stage's
    deterministic part ended; ``path`` takes out the noise that was added there, which is part of what the step adds in
    the end.
    """
    kept = below.sigma / before.sigma if before.sigma > 0.0 else 0.0  # all noise is fresh there
    sigma = kept * latest.point.sigma
    y = latest.at(below._replace(lam=lam_of(sigma / below.alpha), sigma=sigma))
    return y if path is None else combine((1.0, y), (kept * path[0], path[1]))


def along_path(noise: Callable[[float, float], Tensor], times: Sequence[float]) -> tuple[Tensor, ...]:
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


def shares_of_path(times: Sequence[float]) -> list[list[float]]:
    """What ``along_path`` makes of its draws: for each of its results, the coefficient of each draw."""
    units = iter(torch.eye(len(times) - 1, dtype=torch.float64, device="cpu"))
    return [path.tolist() for path in along_path(lambda begin, end: next(units), times)]
