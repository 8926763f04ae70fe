"""Few steps and strong guidance, under the record's own defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from latentry._numerics._interval import Interval, NoMemory
from latentry._numerics._plan import Plan
from latentry._numerics._processes._process import Process
from latentry._numerics._running._noise import KeyedNoise, Noise
from latentry._numerics._scheduler import Scheduler
from latentry._numerics._solvers._guard import Guarded
from latentry._numerics._step import Step, StepMethod
from latentry.testing._default_plans import default_plan, preferred
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import GuidedOracle, MixtureOracle
from latentry.testing._networks._processes import process
from latentry.testing._result import CheckResult
from latentry.testing._subject import Subject

STEPS = (3, 4, 5, 6, 8, 10, 12)
GUIDANCE, WITH_NOISE = (3.0, 7.5, 15.0), (3.0, 7.5)
"""The second for stochastic schedulers: with more, the guided field tears even first order's fresh noise apart."""
SHIFTS = {"flow": (1.0, 3.0)}
MEANS = ((1.0, 0.4), (-0.8, 0.9), (-0.2, -1.1))
VARIANCES = (0.02, 0.2)
"""Of the mixture's components: narrow ones pull hard and late, broad ones softly."""
SAMPLES, ONE_BY_ONE = 64, 8
"""How many, and how many of an adaptive scheduler, which is given them one at a time."""
MOST = 2.0
"""How far out the samples may lie, root mean square, beside the component that is asked for or, where it lies further
out, first order's result on the same grid: an extrapolation that has run away lies tens of times as far out.
"""
ALL_THE_WAY = {"guard": True, "guard_limit": 1e-9}


class FirstOrder(Scheduler):
    """What a scheduler is held against."""

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """Euler's step."""
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end), memory


def stability(subject: Subject) -> Iterator[CheckResult]:
    """With guidance of 3 to 15, in 3 to 12 steps on the preferred sigma schedules, the samples do not run away: on
    a mixture with narrow components and on one with broad ones, on each process, and on a flow with a time shift too.

    Troubleshooting: inherit from ``latentry.solvers.Guarded``, and pass what is extrapolated through ``drawn_back``. Or
    prefer a grid with shorter first steps for few steps (``SigmaPreference(..., max_steps=…)``), or use a lower order.
    """
    case = subject.cases[0]
    for kind in sorted(subject.spec.processes):
        on = process(kind)
        for shift in SHIFTS.get(kind, (1.0,)) if case.label == "default" else ():
            found = {steps: _grown(subject, steps, on, shift) for steps in STEPS}
            worst = max(found, key=lambda steps: found[steps])
            where = "" if shift == 1.0 else f", time shift {shift:g}"
            yield CheckResult(
                check="stability",
                process=kind,
                declared=f"in {STEPS[0]} to {STEPS[-1]} steps{where}: at most {MOST:g} times too far out",
                measured=f"{found[worst]:.2f} in {worst} steps",
                passed=found[worst] < MOST,
            )


def _grown(subject: Subject, steps: int, on: Process, shift: float) -> float:
    preference = preferred(subject, steps, on)
    if preference is None:
        return float("inf")
    scales = WITH_NOISE if subject.cases[0].stochastic else GUIDANCE
    return max(
        growth(default_plan(subject, preference, steps, on, shift=shift, guidance=scale), scale, variance)
        for scale in scales
        for variance in VARIANCES
    )


def growth(plan: Plan, guidance: float = 7.5, variance: float = VARIANCES[0]) -> float:
    """How far out the guided samples end, beside the component that is asked for or first order's."""
    oracle = GuidedOracle(MixtureOracle(MEANS[:1], variance), MixtureOracle(MEANS, variance), guidance)
    count = ONE_BY_ONE if plan.scheduler.adaptive else SAMPLES
    draw = KeyedNoise(0, range(count)).initial(torch.empty(count, 2, dtype=torch.float64))
    first = Plan(_first_order(plan.scheduler), plan.process, plan.prediction, plan.points)
    mine, other = (_size(drive(each, plan.noise_scale() * draw, oracle.answer)) for each in (plan, first))
    return mine / max(other, math.hypot(*MEANS[0]))


def _first_order(scheduler: StepMethod) -> StepMethod:
    """Of a scheduler with a guard it is itself, drawn back all the way: with the same noise, if it draws any."""
    return scheduler.model_copy(update=ALL_THE_WAY) if isinstance(scheduler, Guarded) else FirstOrder()


def _size(samples: Tensor) -> float:
    return float(samples.square().sum(1).mean().sqrt())
