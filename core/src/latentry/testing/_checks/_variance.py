"""Stochastic schedulers on Gaussian data, exactly: no random number is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from latentry._numerics._processes._process import Process
from latentry.testing._networks._moments import moments
from latentry.testing._networks._processes import graded, in_lambda, plan_on, process
from latentry.testing._result import CheckResult, not_run
from latentry.testing._subject import Case, Subject

HIGH, LOW = 4.0, 0.25
STEPS = (20, 40, 80)
TOO_LOW = 0.25
VARIANCES = (0.1, 0.5, 2.0)


def variance(subject: Subject) -> Iterator[CheckResult]:
    """On Gaussian data the mean and the variance at the end are right to the declared weak order.

    There the result is a·x_T + Σ c_j·z_j + m with numbers a, c_j and m, found by feeding unit vectors: x_T = 1 in one
    column of the sample, one draw z_j = 1 in each of the others. Its variance is a²·var(x_T) + Σ c_j², without chance.

    Troubleshooting: the noise of a step belongs to the process's own x: on a flow model α shrinks what variance
    exploding formulas add. A draw that is used twice, or two draws that should be one path, show here too.
    """
    if subject.spec.adaptive:
        yield not_run("variance", "it chooses its own steps, so that its result is not linear in the noise")
        return
    for case in subject.cases:
        for kind in sorted(subject.spec.processes) if case.stochastic else ():
            yield _found(case, process(kind))


def _found(case: Case, on: Process) -> CheckResult:
    errors = [_errors(case, on, steps) for steps in STEPS]
    slope = slope_of(*map(max, errors[-2:]))
    mean, spread = errors[0]
    return CheckResult(
        check="variance",
        case=case.label,
        process=on.kind,
        declared=f"weak order {case.order}",
        measured=f"{slope:.2f} (in {STEPS[0]} steps the mean is off by {mean:.1%}, the variance by {spread:.1%})",
        passed=slope > case.order - TOO_LOW,
    )


def weak_order(case: Case, on: Process) -> float:
    """The order that the larger of the errors of mean and variance shows."""
    return slope_of(*(max(_errors(case, on, steps)) for steps in STEPS[-2:]))


def slope_of(coarse: float, fine: float) -> float:
    """The order that two errors show, the second with twice the steps; infinite if all that is left is rounding."""
    return math.log2(coarse / fine) if fine > 1e-12 else math.inf


def _errors(case: Case, on: Process, steps: int) -> tuple[float, float]:
    """Relative errors of the mean and of the variance, root mean squares over the data's variances."""
    to_lam = in_lambda(HIGH, LOW)
    plan = plan_on(case.scheduler, on, [to_lam(u) for u in graded(steps, case.order, math.log(HIGH / LOW))])
    end, data = plan.points[-1], torch.tensor(VARIANCES, dtype=torch.float64)
    mean, spread = moments(plan, data)
    return _rms(mean / end.alpha - 1.0), _rms(spread / (end.alpha**2 * data + end.sigma**2) - 1.0)


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
