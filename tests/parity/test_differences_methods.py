"""Methods that we take otherwise than their published code, against that code's formulas written out here.

With ``test_differences`` this is what ``docs/differences.md`` refers to.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentry import Flow, Karras, Plan, PluginHost, Point, Prediction, VariancePreserving
from latentry.testing import GaussianOracle, drive
from latentry.testing._measuring._result_errors import rms
from latentry.testing._networks._moments import moments
from latentry.testing._networks._processes import process

pytestmark = pytest.mark.slow

SD = VariancePreserving.from_betas()
GAUSSIAN = GaussianOracle(0.3, 0.25)


def edm_at(s: float) -> Point:
    return process("edm").at(s=s)


def er_sde_3(levels: list[float], x: Tensor) -> Tensor:
    """ER-SDE-Solver-3 as published (arXiv:2309.06169), for the ODE, φ = s: x̂₀ by Taylor about the step's start."""
    past: list[tuple[float, Tensor, Tensor]] = []
    for s, to in pairwise(levels):
        x0 = GAUSSIAN.predict(x, edm_at(s))[0]
        r, span = to / s, math.log(s / to)
        moved = r * x + (1 - r) * x0
        slope = torch.zeros_like(x)
        if past:
            slope = (x0 - past[-1][1]) / (s - past[-1][0])
            moved = moved + (to - s + to * span) * slope
        if len(past) > 1:
            bend = (slope - past[-1][2]) / ((s - past[-2][0]) / 2)
            moved = moved + ((to - s) ** 2 / 2 + to * ((s - to) - s * span)) * bend
        past.append((s, x0, slope))
        x = moved
    return x


def test_the_published_third_order_of_er_sde_is_of_second(host: PluginHost) -> None:
    errors: dict[str, list[float]] = {"published": [], "ours": []}
    scheduler = host.schedulers.create("er-sde", phi="power", eta=0.0)
    for steps in (40, 80):
        levels = graded_levels(steps)
        points = tuple(edm_at(s) for s in levels)
        x = torch.tensor([[4.0, -2.5, 1.0]], dtype=torch.float64)
        exact = GAUSSIAN.path(x, points[0], points[-1])
        mine = drive(Plan(scheduler, process("edm"), Prediction.EDM, points), x, GAUSSIAN.answer)
        errors["published"].append(rms(er_sde_3(levels, x) - exact))
        errors["ours"].append(rms(mine - exact))
    published, ours = (math.log2(found[0] / found[1]) for found in errors.values())
    assert published < 2.3
    assert ours > 2.8


def graded_levels(steps: int) -> list[float]:
    """From 4 to 0.25, with short steps first, so that a start of low order is not what is seen."""
    lengths = [0.001, 0.01, 0.1, 0.4, *[1.0] * steps]
    total, at, found = math.fsum(lengths), 0.0, [4.0]
    for length in lengths:
        at += length
        found.append(4.0 * (0.25 / 4.0) ** (at / total))
    return found


def k_euler_ancestral_mean(t: float, to: float) -> float:
    """The share of x₀ in k-diffusion's step if a flow's t is taken for its σ, the data being one point."""
    up = min(to, math.sqrt(to**2 * (t**2 - to**2) / t**2))
    down = math.sqrt(to**2 - up**2)
    return 1.0 + down / t * ((1.0 - t) - 1.0)


def test_ancestral_steps_in_sigma_leave_too_much_signal_on_flow(host: PluginHost) -> None:
    scheduler = host.schedulers.create("euler-ancestral")
    for t, to in ((0.9, 0.7), (0.7, 0.4), (0.4, 0.2)):
        points = (Flow().at(timestep=1000 * t), Flow().at(timestep=1000 * to))
        plan = Plan(scheduler, Flow(), Prediction.FLOW, points)
        x = torch.full((1, 1), 1.0 - t, dtype=torch.float64)
        mine = float(drive(plan, x, GaussianOracle(1.0, 0.0).answer, noise=lambda like, *_: torch.zeros_like(like)))
        assert mine == pytest.approx(1.0 - to)
        assert k_euler_ancestral_mean(t, to) > 1.1 * (1.0 - to)


def k_dpmpp_sde_variance(levels: list[float], data: float) -> float:
    """Relative error of the variance of k-diffusion's ``sample_dpmpp_sde`` on N(0, data), by unit vectors.

    Its draws for the half and for the whole of a step are increments of one path in σ.
    """
    unit = torch.eye(2 * len(levels) - 1, dtype=torch.float64)
    x = unit[0]
    for i, (s, to) in enumerate(pairwise(levels)):
        early, late, middle = unit[2 * i + 1], unit[2 * i + 2], math.sqrt(s * to)
        share = (s - middle) / (s - to)
        first = data / (data + s * s) * x
        down, up = _ancestral(s, middle)
        second = data / (data + middle**2) * (down / s * x + (1 - down / s) * first + up * early)
        down, up = _ancestral(s, to)
        whole = math.sqrt(share) * early + math.sqrt(1 - share) * late
        x = down / s * x + (1 - down / s) * second + up * whole
    return float(x[0] ** 2 * (data + levels[0] ** 2) + x[1:].square().sum()) / (data + levels[-1] ** 2) - 1.0


def _ancestral(s: float, to: float) -> tuple[float, float]:
    up = min(to, math.sqrt(to**2 * (s**2 - to**2) / s**2))
    return math.sqrt(to**2 - up**2), up


@pytest.mark.parametrize("steps", [5, 8, 10, 20, 30])
def test_dpmpp_sde_loses_less_variance(host: PluginHost, steps: int) -> None:
    """On Karras sigmas over Stable Diffusion's range, AUTOMATIC1111's choice."""
    points = Karras().points(steps, SD)
    plan = Plan(host.schedulers.create("dpmpp-sde"), SD, Prediction.V, points)
    data = torch.tensor([0.25], dtype=torch.float64)
    end = plan.points[-1]
    mine = float(moments(plan, data)[1]) / (end.alpha**2 * 0.25 + end.sigma**2) - 1.0
    assert abs(mine) < 0.85 * abs(k_dpmpp_sde_variance([point.s for point in points], 0.25))
