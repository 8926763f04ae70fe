"""Unusual grids: very few steps, repeated levels, inversion."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process
from latentry.testing._checks._accuracy._arrival import descent
from latentry.testing._checks._accuracy._convergence import ring
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import MixtureOracle
from latentry.testing._networks._processes import NATURAL, process
from latentry.testing._result import CheckResult
from latentry.testing._subject import Case, Subject

ORACLE = MixtureOracle()
FAR = 20.0
"""Beyond this no sample of the mixture lies, not after a coarse step either."""


def edges(subject: Subject) -> Iterator[CheckResult]:
    """One and two steps, repeated and nearly equal levels, a reversed plan: the result is finite and not far off.

    Troubleshooting: do not divide by a difference of levels that can be tiny unless the numerator is too, and take
    the order from ``Interval.order``.
    """
    for case in subject.cases:
        for kind in sorted(subject.spec.processes):
            faults = [f"{name}: {fault}" for name, fault in _faults(case, process(kind)) if fault]
            yield CheckResult(
                check="edges",
                case=case.label,
                process=kind,
                declared="finite and near the data",
                measured="; ".join(faults) or "as declared",
                passed=not faults,
            )


def _faults(case: Case, on: Process) -> Iterator[tuple[str, str]]:
    for steps in (1, 2, 3):
        yield f"{steps} steps to σ = 0", _wild(descent(case, on, steps))
        yield f"{steps} steps to a finite level", _wild(_plan(case, on, [3.0, 1.0, 0.4, 0.1][: steps + 1]))
    # a second-order step over this range may overshoot, but by no more than the range
    yield "1 step over the whole range", _wild(_plan(case, on, [14.0, 0.01]), 14.0 * FAR)
    repeated = _plan(case, on, [3.0, 3.0, 1.0, 1.0, 1.0, 0.3, 0.1, 0.1])
    yield "repeated levels", _wild(repeated) or _extra(repeated, 3 * case.evaluations)
    close = [2.0 * (1.0 - 1e-8 * i) for i in range(6)]
    yield "levels closer than float32 resolves", (_wild if case.stochastic else _moved)(_plan(case, on, close))
    yield "one nearly repeated level", _wild(_plan(case, on, [3.0, 2.0, 1.0, 1.0 - 1e-9, 0.5, 0.25, 0.1]))
    if on.kind == "vp":
        terminal = on.zero_terminal_snr()  # type: ignore[attr-defined]
        yield "zero terminal SNR", _wild(descent(case, terminal, 3))
    if not case.stochastic:
        yield "reversed", _wild(_plan(case, on, [3.0, 2.0, 1.2, 0.7, 0.3, 0.1]).reversed())


def _plan(case: Case, on: Process, levels: list[float]) -> Plan:
    points: tuple[Point, ...] = tuple(on.at(s=s) for s in levels)
    return Plan(case.scheduler, on, NATURAL[on.kind], points)


def _run(plan: Plan) -> tuple[Tensor, Tensor]:
    """The start and the result, both in units of the spread √(α² + σ²)."""
    start, end = plan.points[0], plan.points[-1]
    x = (start.alpha + start.sigma) * ring()
    return ring(), drive(plan, x, ORACLE.answer) / (end.alpha + end.sigma)


def _wild(plan: Plan, far: float = FAR) -> str:
    _, end = _run(plan)
    most = float(end.abs().max())
    return "" if most < far else f"|x| = {most:.1e}"


def _moved(plan: Plan) -> str:
    start, end = _run(plan)
    moved = float((end - start).abs().max())
    return "" if moved < 1e-6 else f"x moves by {moved:.1e}"


def _extra(plan: Plan, most: int) -> str:
    count = plan.evaluations
    return "" if count is None or count <= most else f"{count} evaluations for three steps"
