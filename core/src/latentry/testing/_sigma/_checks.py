"""Checks of sigma schedules and of noise processes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise

from latentry._errors import IncompatibleError, OptionError
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process
from latentry.testing._result import CheckResult

STEPS = (1, 2, 5, 8, 20, 50)
SHIFT = 2.0
NEAR = 1e-9


def check_sigma_schedule(schedule: SigmaSchedule, process: Process) -> Iterator[CheckResult]:
    """Checks that a rule gives N levels of the process that strictly fall, and that a shift multiplies σ/α once."""
    yield from level_findings(schedule, process)
    yield from shift_findings(schedule, process)


def level_findings(schedule: SigmaSchedule, process: Process) -> Iterator[CheckResult]:
    """N levels of the process that strictly fall, for several N."""
    finding = partial(CheckResult, check="levels", case=type(schedule).__name__, process=process.kind)
    for steps in STEPS:
        fault = _fault(schedule, process, steps)
        declared = f"{steps} falling levels of the process"
        hint = "make every level with process.at() from s = σ/α, λ or a timestep; the plan adds the ending"
        yield finding(declared=declared, measured=fault or "as declared", passed=not fault, hint=hint)


def shift_findings(schedule: SigmaSchedule, process: Process) -> Iterator[CheckResult]:
    """A shift multiplies σ/α once; only on flow, where models have one."""
    if process.kind == "flow" and not schedule.absolute:
        off = _shift_error(schedule, process)
        yield CheckResult(
            check="shift",
            case=type(schedule).__name__,
            process=process.kind,
            declared=f"a shift of {SHIFT:g} multiplies σ/α by {SHIFT:g}",
            measured=f"off by {off:.1e}",
            passed=off <= NEAR,
            hint="the base class applies the shift to what levels() returns: a rule must not do it again",
        )


def _fault(schedule: SigmaSchedule, process: Process, steps: int) -> str:
    try:
        points = schedule.points(steps, process)
    except IncompatibleError:
        return ""
    except OptionError as error:
        return f"refused: {error.what}" if 5 <= steps <= 20 else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return next(_level_faults(points, process, steps), "")


def _level_faults(points: Sequence[Point], process: Process, steps: int) -> Iterator[str]:
    if len(points) != steps:
        yield f"{len(points)} levels"
    for point in points:
        if not _of(process, point):
            yield f"σ = {point.sigma:g}, α = {point.alpha:g}, t = {point.timestep:g} is not a level of the process"
    if points[0].lam < process.noisiest.lam - 1e-3:  # tables are published with five digits
        yield f"the first, σ/α = {points[0].s:g}, is noisier than training"
    if any(b.lam <= a.lam for a, b in pairwise(points)):
        yield "two levels are equal, or one rises"
    if points[-1].sigma == 0.0:
        yield "the last step starts at σ = 0, so it does nothing"


def _of(process: Process, point: Point) -> bool:
    """Whether the process itself gives this level, with this timestep."""
    there = process.at(lam=point.lam)
    pairs = ((there.alpha, point.alpha), (there.sigma, point.sigma), (there.timestep, point.timestep))
    return all(math.isclose(a, b, rel_tol=1e-7, abs_tol=1e-9) for a, b in pairs)


def _shift_error(schedule: SigmaSchedule, process: Process) -> float:
    plain, moved = (type(schedule)(**{**dict(schedule), "shift": k}).points(10, process) for k in (1.0, SHIFT))
    finite = [(a.lam, b.lam) for a, b in zip(plain, moved, strict=True) if math.isfinite(a.lam)]
    return max((abs(b - a + math.log(SHIFT)) for a, b in finite), default=0.0)


def check_plan(plan: Plan) -> Iterator[CheckResult]:
    """Checks that a plan's last level is σ = 0 and that no interval is empty."""
    last, empty = plan.points[-1], sum(a.lam == b.lam for a, b in pairwise(plan.points))
    finding = partial(CheckResult, check="plan", case=type(plan.scheduler).__name__, process=plan.process.kind)
    hint = "the plan adds the end: ask for final='zero', and let the sigma schedule end above σ = 0"
    yield finding(declared="ends at σ = 0", measured=f"σ = {last.sigma:g}", passed=last.sigma == 0.0, hint=hint)
    yield finding(declared="no interval is empty", measured=f"{empty} are", passed=not empty, hint=hint)


def check_process(process: Process) -> Iterator[CheckResult]:
    """Checks that a process has one level for each λ and one for each timestep, and that they agree."""
    top, bottom = (min(max(point.lam, -6.0), 6.0) for point in (process.noisiest, process.cleanest))
    points = [process.at(lam=top + (bottom - top) * (i + 0.5) / 997) for i in range(997)]
    faults: dict[str, Iterable[str]] = {
        "log(α/σ) = λ": _ratio_faults(points),
        "α and σ of its kind": _kind_faults(points, process.kind),
        "the timestep falls as λ rises, by fractions too": _time_faults(points),
        "a timestep gives its level again": _return_faults(points, process),
        "clean() is σ = 0": [] if process.clean().sigma == 0.0 else [f"σ = {process.clean().sigma:g}"],
    }
    for declared, found in faults.items():
        first = next(iter(found), "")
        yield CheckResult(
            check="process",
            case=type(process).__name__,
            process=process.kind,
            declared=declared,
            measured=first or "as declared",
            passed=not first,
            hint="derive α, σ and the timestep from one continuous variable, and round nothing",
        )


def _ratio_faults(points: Sequence[Point]) -> Iterator[str]:
    for point in points:
        if abs(math.log(point.alpha / point.sigma) - point.lam) > NEAR:
            yield f"at λ = {point.lam:.3f} it is {math.log(point.alpha / point.sigma):.3f}"


def _kind_faults(points: Sequence[Point], kind: str) -> Iterator[str]:
    for point in points:
        a, s = point.alpha, point.sigma
        one = {"vp": a * a + s * s, "flow": a + s, "edm": a}[kind]
        if abs(one - 1.0) > NEAR:
            yield f"at λ = {point.lam:.3f} α = {a:g} and σ = {s:g}"


def _time_faults(points: Sequence[Point]) -> Iterator[str]:
    for a, b in pairwise(points):
        if b.timestep >= a.timestep:
            yield f"it is {a.timestep:g} at λ = {a.lam:.4f} and {b.timestep:g} at {b.lam:.4f}"


def _return_faults(points: Sequence[Point], process: Process) -> Iterator[str]:
    for point in points:
        back = process.at(timestep=point.timestep)
        if abs(back.lam - point.lam) > 1e-7:
            yield f"timestep {point.timestep:g} of λ = {point.lam:.4f} gives λ = {back.lam:.4f}"
