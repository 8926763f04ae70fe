"""Few steps and strong guidance, under the record's own defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from latentry._numerics._noise import KeyedNoise
from latentry._numerics._plan import Plan
from latentry.testing._default_plans import default_plan, preferred
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import GuidedOracle, MixtureOracle
from latentry.testing._networks._processes import process
from latentry.testing._result import CheckResult
from latentry.testing._subject import Subject

STEPS = (5, 6, 8, 10)
SCALE, VARIANCE = 7.5, 0.02
"""Guidance, and the variance of the mixture's components: narrow ones pull hard and late."""
MEANS = ((1.0, 0.4), (-0.8, 0.9), (-0.2, -1.1))
SAMPLES, ONE_BY_ONE = 64, 16
"""How many, and how many of an adaptive scheduler, which is given them one at a time."""
MOST = 2.0
"""How far out the samples may lie, relative to the component that is asked for: guidance itself drives them to 1.3, a
first-order method to 1.5, and an extrapolation that has run away to 4 and more.
"""


def stability(subject: Subject) -> Iterator[CheckResult]:
    """With guidance 7.5, in 5 to 10 steps on the preferred sigma schedules, the samples do not run away.

    Troubleshooting: where a high order extrapolates over long first steps, prefer a grid with shorter ones for few
    steps (``SigmaPreference(..., max_steps=…)``), or use a lower order there.
    """
    case = subject.cases[0]
    for kind in sorted(subject.spec.processes):
        on = process(kind)
        for steps in STEPS if case.label == "default" else ():
            preference = preferred(subject, steps, on)
            if preference is None:
                yield _finding(kind, steps, "none of its sigma schedules fits", False)
                continue
            found = growth(default_plan(subject, preference, steps, on))
            yield _finding(kind, steps, f"{found:.2f} on {preference.name}", found < MOST)


def _finding(kind: str, steps: int, measured: str, passed: bool) -> CheckResult:
    declared = f"in {steps} steps at most {MOST:g} times too far out"
    return CheckResult(check="stability", process=kind, declared=declared, measured=measured, passed=passed)


def growth(plan: Plan) -> float:
    """How far out the guided samples end (root mean square), against the component that is asked for."""
    oracle = GuidedOracle(MixtureOracle(MEANS[:1], VARIANCE), MixtureOracle(MEANS, VARIANCE), SCALE)
    count = ONE_BY_ONE if plan.scheduler.adaptive else SAMPLES
    draw = KeyedNoise(0, range(count)).initial(torch.empty(count, 2, dtype=torch.float64))
    end = drive(plan, plan.noise_scale() * draw, oracle.answer)
    return float(end.square().sum(1).mean().sqrt()) / math.hypot(*MEANS[0])
