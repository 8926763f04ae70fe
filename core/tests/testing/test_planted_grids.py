"""Faults in sigma schedules, plans and processes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest

from latentry import EDM, Flow, Plan, Point, Prediction, Process, Scheduler, VariancePreserving
from latentry.sigmas import SigmaSchedule
from latentry.testing import CheckResult, check_plan, check_process, check_sigma_schedule


class Even(SigmaSchedule):
    """Evenly in t on a flow."""

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        return tuple(process.customary(1.0 - i / steps) for i in range(steps))


class ShiftedAgain(Even):
    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        k = self.shift
        times = ((1.0 - i / steps) for i in range(steps))
        return tuple(process.customary(k * t / (1.0 + (k - 1.0) * t)) for t in times)


class LastTwice(Even):
    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        points = super().levels(steps, process)
        return (*points[:-1], points[-2]) if steps > 1 else points


class KarrasRaw(SigmaSchedule):
    """σ/α of EDM's rule taken for σ of a flow."""

    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        ramp = [i / max(steps - 1, 1) for i in range(steps)]
        sigmas = [(80 ** (1 / 7) + u * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for u in ramp]
        return tuple(Point(-math.log(s), 1.0 - s, s, 1000.0 * s) for s in sigmas)


class EndsAtZero(Even):
    def levels(self, steps: int, process: Process) -> tuple[Point, ...]:
        return tuple(process.customary(1.0 - i / max(steps - 1, 1)) for i in range(steps))


@dataclass(frozen=True)
class WholeTimes(Flow):
    def at_lam(self, lam: float) -> Point:
        point = super().at_lam(lam)
        return point._replace(timestep=float(math.floor(point.timestep)))


@dataclass(frozen=True)
class AlphaOfAnother(Flow):
    def at_lam(self, lam: float) -> Point:
        point = super().at_lam(lam)
        return point._replace(alpha=math.sqrt(1.0 - point.sigma**2))


def faults(results: Any) -> set[str]:
    found: list[CheckResult] = list(results)
    assert found
    return {result.check for result in found if not result.passed}


def test_a_right_schedule_passes() -> None:
    assert faults(check_sigma_schedule(Even(), Flow())) == set()
    assert faults(check_sigma_schedule(Even(shift=3.0), Flow())) == set()


@pytest.mark.parametrize(
    ("schedule", "check"),
    [(ShiftedAgain(), "shift"), (LastTwice(), "levels"), (KarrasRaw(), "levels"), (EndsAtZero(), "levels")],
    ids=lambda value: type(value).__name__,
)
def test_a_faulty_schedule_fails(schedule: SigmaSchedule, check: str) -> None:
    assert check in faults(check_sigma_schedule(schedule, Flow()))


@pytest.mark.parametrize(
    "process", [VariancePreserving.from_betas(), VariancePreserving.from_betas().zero_terminal_snr(), Flow(), EDM()]
)
def test_a_right_process_passes(process: Process) -> None:
    assert faults(check_process(process)) == set()


@pytest.mark.parametrize("process", [WholeTimes(), AlphaOfAnother()], ids=lambda value: type(value).__name__)
def test_a_faulty_process_fails(process: Process) -> None:
    assert faults(check_process(process)) == {"process"}


def test_a_plan_that_never_reaches_the_end_or_has_an_empty_interval() -> None:
    class First(Scheduler):
        def step(self, x: Any, interval: Any, memory: Any, noise: Any) -> Any:
            denoised = yield interval.start.query(x)
            return denoised.at(interval.end), memory

    good = First().plan(5, process=Flow(), prediction=Prediction.FLOW, sigmas=Even())
    assert faults(check_plan(good)) == set()
    assert faults(check_plan(replace(good, points=good.points[:-1]))) == {"plan"}
    repeated: Plan = replace(good, points=(*good.points[:3], *good.points[2:]))
    assert faults(check_plan(repeated)) == {"plan"}
