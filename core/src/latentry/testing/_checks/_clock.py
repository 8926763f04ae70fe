"""The clock by which stochastic schedulers ask for noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from latentry._numerics._running._noise import Clock
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import GaussianOracle
from latentry.testing._networks._processes import in_lambda, plan_on, process
from latentry.testing._result import CheckResult, not_run
from latentry.testing._subject import Case, Subject

HIGH, LOW = 4.0, 0.25


def clock(subject: Subject) -> Iterator[CheckResult]:
    """Pieces of a noise path follow each other without overlap, and a level has one time on every grid.

    Troubleshooting: ``noise(begin, end)`` takes an increasing function of the level alone, such as exp(2·η·λ); a step
    with two stages asks for [start, middle], then [middle, end], and adds them up.
    """
    if subject.spec.adaptive:
        yield not_run("clock", "it chooses its own steps, so that the pieces of two grids cannot be compared")
        return
    kind = min(subject.spec.processes)
    for case in subject.cases:
        if case.stochastic:
            coarse, fine = (_pieces(case, kind, steps) for steps in (4, 8))
            fault = _order_fault(coarse) or _order_fault(fine) or _time_fault(coarse, fine)
            used = f"{len(coarse)} pieces in 4 steps" if coarse else "draws without a clock"
            yield CheckResult(
                check="clock",
                case=case.label,
                process=kind,
                declared="consecutive pieces of one path",
                measured=fault or used,
                passed=not fault,
            )


def _pieces(case: Case, kind: str, steps: int) -> list[tuple[int, float, float]]:
    """(interval, begin, end) of every draw that names a piece."""
    to_lam, found = in_lambda(HIGH, LOW), []

    def source(like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        if clock is not None:
            found.append((interval, *clock))
        return torch.zeros_like(like)

    plan = plan_on(case.scheduler, process(kind), [to_lam(i / steps) for i in range(steps + 1)])  # type: ignore[arg-type]
    drive(plan, torch.ones(1, 1, dtype=torch.float64), GaussianOracle().answer, noise=source)
    return found


def _order_fault(pieces: list[tuple[int, float, float]]) -> str:
    """Pieces of one interval may come in any order, but they and those of other intervals never overlap."""
    if any(not (math.isfinite(begin) and math.isfinite(end) and begin < end) for _, begin, end in pieces):
        return "a piece does not increase or is not finite"
    ordered = sorted((begin, end) for _, begin, end in pieces)
    overlap = any(later[0] < earlier[1] - _slack(earlier[1]) for earlier, later in pairwise(ordered))
    return "pieces overlap" if overlap else ""


def _time_fault(coarse: list[tuple[int, float, float]], fine: list[tuple[int, float, float]]) -> str:
    """Interval i of the coarse grid covers 2i and 2i + 1 of the fine one: their spans are the same."""
    for interval in {piece[0] for piece in coarse}:
        wide, parts = _span(coarse, {interval}), _span(fine, {2 * interval, 2 * interval + 1})
        if any(abs(a - b) > _slack(a) for a, b in zip(wide, parts, strict=True)):
            return f"levels have other times with twice the steps: {wide} and {parts}"
    return ""


def _span(pieces: list[tuple[int, float, float]], intervals: set[int]) -> tuple[float, float]:
    inside = [piece for piece in pieces if piece[0] in intervals]
    return min((p[1] for p in inside), default=math.nan), max((p[2] for p in inside), default=math.nan)


def _slack(value: float) -> float:
    return 1e-9 * max(1.0, abs(value))
