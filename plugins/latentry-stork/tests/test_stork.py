"""STORK: the conformance suite, and its stages added up one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Prediction, Process, VariancePreserving
from latentry.testing import MixtureOracle, SchedulerSuite, drive
from latentry_stork import STORK
from latentry_stork._gegenbauer import gegenbauer_moments

DATA = MixtureOracle()
TIMES = (0.9, 0.8, 0.72, 0.6, 0.52, 0.4)
PROCESSES: list[Process] = [Flow(), VariancePreserving.from_betas(), EDM()]
Slope = Callable[[float], Tensor]


class TestSTORK(SchedulerSuite):
    scheduler = "stork"


def starts(seed: int) -> Tensor:
    return torch.randn(6, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def velocity(x: Tensor, t: float) -> Tensor:
    x0, eps = DATA.predict(x, Flow().at(timestep=1000 * t))
    return eps - x0


def virtual(past: Sequence[tuple[float, Tensor]]) -> Slope:
    """The polynomial in t through evaluations, in Lagrange's form."""

    def at(t: float) -> Tensor:
        value = torch.zeros_like(past[0][1])
        for i, (t_i, v) in enumerate(past):
            value = value + v * math.prod((t - t_j) / (t_i - t_j) for j, (t_j, _) in enumerate(past) if j != i)
        return value

    return at


def gegenbauer(x: Tensor, slope: Slope, t: float, h: float, stages: int) -> Tensor:
    """RKG2, stage by stage; its stages lie at c_j = (j + 4)(j − 1)/((s + 4)(s − 1)), and c_1 = c_2."""

    def b(j: int) -> float:
        return {0: 1.0, 1: 1 / 3}.get(j, 4 * (j - 1) * (j + 4) / (3 * j * (j + 1) * (j + 2) * (j + 3)) if j else 1.0)

    def c(j: int) -> float:
        return (j + 4) * (j - 1) / ((stages + 4) * (stages - 1)) if j > 1 else c(2)

    first = 6 / ((stages + 4) * (stages - 1))
    y_before, y, begin = x, x + first * h * slope(t), slope(t)
    for j in range(2, stages + 1):
        mu, nu = (2 * j + 1) * b(j) / (j * b(j - 1)), -(j + 1) * b(j) / (j * b(j - 2))
        gain = mu * first
        here = slope(t + c(j - 1) * h)
        after = mu * y + nu * y_before + (1 - mu - nu) * x + gain * h * here
        y_before, y = y, after - gain * (1 - j * (j + 1) * b(j - 1) / 2) * h * begin
    return y


def classical(x: Tensor, slope: Slope, t: float, h: float, stages: int) -> Tensor:
    """Kutta's method, which is of order 4 as ROCK4 is."""
    return x + h / 6 * (slope(t) + 4 * slope(t + h / 2) + slope(t + h))


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("derivatives", [1, 2, 3])
@pytest.mark.parametrize(("solver", "stages", "method"), [("stork-2", 7, gegenbauer), ("stork-4", 50, classical)])
def test_the_stages_add_up(
    process: Process, solver: str, stages: int, method: Callable[..., Tensor], derivatives: int
) -> None:
    x = expected = starts(derivatives)
    past: list[tuple[float, Tensor]] = []
    for t, to in pairwise(TIMES):
        past = [(t, velocity(expected, t)), *past][: derivatives + 1]
        # with one evaluation it is Euler's step
        expected = method(expected, virtual(past), t, to - t, stages) if len(past) > 1 else x + (to - t) * past[0][1]
    scheduler = STORK.model_validate({"solver": solver, "stages": stages, "derivatives": derivatives})
    points = tuple(process.at(s=t / (1 - t)) for t in TIMES)
    scale = points[0].alpha + points[0].sigma
    found = drive(Plan(scheduler, process, Prediction.V, points), scale * x, DATA.answer)
    assert torch.allclose(found / (points[-1].alpha + points[-1].sigma), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("stages", [3, 8, 50, 200])
def test_the_quadrature_is_of_second_order_and_the_next_moment_tends_to_a_quarter(stages: int) -> None:
    moments = gegenbauer_moments(stages, 3)
    assert moments[:2] == pytest.approx((1.0, 0.5), rel=1e-12)
    assert 0 < 0.25 - moments[2] < 1.5 / stages**2 or stages == 3


def test_it_is_of_second_order_once_the_second_derivative_rules() -> None:
    """What the check ``coefficients`` cannot see at 160 steps."""

    def error(steps: int) -> float:
        points = tuple(Flow().at(s=3.0 * (0.2 / 3.0) ** (i / steps)) for i in range(steps + 1))
        x = points[0].sigma * starts(9)
        off = drive(Plan(STORK(), Flow(), Prediction.FLOW, points), x, DATA.answer)
        return float((off - DATA.path(x, points[0], points[-1])).norm())

    assert 1.8 < math.log2(error(640) / error(1280)) < 2.3
