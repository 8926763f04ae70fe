"""The grids that tuning begins from: what schedulers prefer, the checkpoint's own, and rules between two levels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from latentry import LatentryError, Point, Prediction, Process, Scheduler
from latentry.sigmas import Trailing

STARTS = (15.0, 40.0)
"""σ/α of the level after pure noise."""
LOWEST = (0.4, 0.8, 1.6)
"""N·(σ/α) of the level at which the last step starts."""
RHOS = (3.0, 7.0)


def grids(
    process: Process, steps: int, shift: float | None, schedulers: Iterable[Scheduler]
) -> dict[str, tuple[Point, ...]]:
    """Boundaries by name, all of them from the noisiest level to σ = 0; of grids that are equal there is one.

    Args:
        process: the checkpoint's.
        steps: N.
        shift: its time shift.
        schedulers: whose preferences are among them.
    """
    found: dict[tuple[float, ...], str] = {}
    for name, levels in (*_preferred(process, steps, shift, schedulers), *_ruled(process.noisiest.s, steps, shift)):
        inner = tuple(s for s in levels[1:] if 0.0 < s < process.noisiest.s)
        if len(inner) == steps - 1 and list(inner) == sorted(set(inner), reverse=True):
            found.setdefault(tuple(round(s, 9) for s in inner), name)
    first, last = process.noisiest, process.clean()
    return {name: (first, *(process.at(s=s) for s in inner), last) for inner, name in found.items()}


def _preferred(
    process: Process, steps: int, shift: float | None, schedulers: Iterable[Scheduler]
) -> Iterator[tuple[str, Sequence[float]]]:
    for scheduler in schedulers:
        plan = scheduler.plan(steps, process=process, prediction=Prediction.V, shift=shift)
        yield f"as {type(scheduler).__name__} has it", [point.s for point in plan.points[:-1]]
    with suppress(LatentryError):  # more steps than trained timesteps, or a shift that leaves them
        yield "trailing", [point.s for point in Trailing(shift=shift or 1.0).points(steps, process)]


def _ruled(top: float, steps: int, shift: float | None) -> Iterator[tuple[str, Sequence[float]]]:
    """Rules between two levels; a shift multiplies them, but not the process's own start."""
    factor, from_noise = shift or 1.0, math.isinf(top)
    count = steps - 1 if from_noise else steps
    highest = 1.0 if from_noise else top / (1.0 + top)
    times = [highest * (steps - i) / steps for i in range(steps)]
    yield "even in s/(1 + s)", [factor * t / (1.0 - t) if t < 1.0 else math.inf for t in times]
    shares = [i / max(count - 1, 1) for i in range(count)]
    begun = [math.inf] if from_noise else []
    for high in STARTS if from_noise else (top,):
        for c in LOWEST:
            levels = [factor * high * (c / steps / high) ** u for u in shares]
            yield f"even in λ from {high:g} to {c:g}/N", [*begun, *levels]
        for rho in RHOS:
            low, begin = (0.8 / steps) ** (1 / rho), high ** (1 / rho)
            levels = [factor * (begin + u * (low - begin)) ** rho for u in shares]
            yield f"Karras with ρ = {rho:g} from {high:g} to 0.8/N", [*begun, *levels]
