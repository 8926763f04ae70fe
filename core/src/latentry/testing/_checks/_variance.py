"""Stochastic schedulers on Gaussian data, exactly: no random number is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from latentry._numerics._noise import Clock
from latentry._numerics._plan import Plan
from latentry._numerics._processes._process import Process
from latentry.testing._drive import drive
from latentry.testing._oracles import GaussianOracle
from latentry.testing._result import CheckResult
from latentry.testing._subject import Case, Subject
from latentry.testing._worlds import graded, in_lambda, plan_on, process

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
    """The order that two errors show, the second in twice the steps; an error of rounding has none."""
    return math.log2(coarse / fine) if fine > 1e-12 else math.inf


def _errors(case: Case, on: Process, steps: int) -> tuple[float, float]:
    """Relative errors of the mean and of the variance, root mean squares over the data's variances."""
    to_lam = in_lambda(HIGH, LOW)
    plan = plan_on(case.scheduler, on, [to_lam(u) for u in graded(steps, case.order, math.log(HIGH / LOW))])
    end, data = plan.points[-1], torch.tensor(VARIANCES, dtype=torch.float64)
    mean, spread = moments(plan, data)
    return _rms(mean / end.alpha - 1.0), _rms(spread / (end.alpha**2 * data + end.sigma**2) - 1.0)


def moments(plan: Plan, data: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of a run's result, begun from x as the process has it there; data of mean 1.

    Args:
        plan: as for ``response``.
        data: (variances,) of Gaussian data, float64.
    """
    start = plan.points[0]
    mean, gains = response(plan, data)
    begun = start.alpha**2 * data + start.sigma**2
    return mean, gains[:, 0].square() * begun + gains[:, 1:].square().sum(1)


def response(plan: Plan, data: Tensor) -> tuple[Tensor, Tensor]:
    """What a run makes of its start and of each of its draws.

    Args:
        plan: any plan without hooks.
        data: (variances,) of Gaussian data, float64.

    Returns:
        (variances,): the result for data of mean 1 begun at its mean, without noise; and (variances, 1 + draws): how
        much the result moves with the start, and with each draw.
    """
    draws = count_draws(plan)
    columns = 2 + draws  # the mean, the start, every draw
    mean, x = torch.zeros(1, len(data), columns), torch.zeros(1, len(data), columns)
    mean[..., 0], x[..., 0], x[..., 1] = 1.0, plan.points[0].alpha, 1.0
    oracle = GaussianOracle(mean.double(), data[:, None])
    x = x.double()
    x[..., 0] = plan.points[0].alpha  # in float64
    end = drive(plan, x, oracle.answer, noise=UnitDraws(2))[0]
    return end[:, 0], end[:, 1:]


def count_draws(plan: Plan) -> int:
    """How many draws a run makes."""
    source = UnitDraws(0)
    drive(plan, torch.zeros(1, 1, dtype=torch.float64), GaussianOracle().answer, noise=source)
    return source.made


class UnitDraws:
    """Noise whose j-th draw is 1 in its own column of the sample's last dimension, and 0 elsewhere.

    Args:
        first: the column of the first draw.
    """

    def __init__(self, first: int) -> None:
        self._first, self.made = first, 0

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        """See ``NoiseSource``."""
        unit = torch.zeros_like(like)
        column = self._first + self.made
        if column < like.shape[-1]:
            unit[..., column] = 1.0
        self.made += 1
        return unit


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
