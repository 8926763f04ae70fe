"""SEEDS: the conformance suites, and the paper's algorithms written out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, OptionError, Plan, Prediction, Process, Scheduler, VariancePreserving
from latentry.testing import MixtureOracle, SchedulerSuite, drive
from latentry.testing._networks._moments import kept_variance
from latentry_seeds import SEEDS2, SEEDS3

DATA = MixtureOracle()
LAMS = (-2.0, -1.1, -0.7, 0.4)
PROCESSES: list[Process] = [EDM(), VariancePreserving.from_betas(), Flow()]


class TestSEEDS2(SchedulerSuite):
    scheduler = "seeds-2"


class TestSEEDS3(SchedulerSuite):
    scheduler = "seeds-3"


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, Z = math.exp(2.0) * normal(6, 2, seed=1), normal(len(LAMS), 3, 6, 2, seed=2)
"""x/α at the start, and the draws of each step."""


def x0(x: Tensor, lam: float) -> Tensor:
    return DATA.predict(x, EDM().at(lam=lam))[0]


def kept(h: float) -> float:
    """The share of x/α that is left after a stretch of length h in λ of the reverse SDE, whose rate is 2."""
    return math.exp(-2 * h)


def noise(lam: float, lengths: list[float], z: Tensor) -> Tensor:
    """What draws over consecutive stretches add at their end: each fades over those after it (paper, section 4.2)."""
    at_end, ahead = torch.zeros_like(z[0]), 0.0
    for k in reversed(range(len(lengths))):
        part = math.exp(-2 * ahead) - math.exp(-2 * (ahead + lengths[k]))
        at_end, ahead = at_end + math.exp(-lam - sum(lengths)) * math.sqrt(part) * z[k], ahead + lengths[k]
    return at_end


def seeds_2(x: Tensor, lam: float, h: float, z: Tensor, r: float) -> Tensor:
    """Algorithm 3 with data prediction, on x/α."""
    first = x0(x, lam)
    u = kept(r * h) * x + (1 - kept(r * h)) * first + noise(lam, [r * h], z)
    slope = (x0(u, lam + r * h) - first) / (2 * r)
    return kept(h) * x + (1 - kept(h)) * (first + slope) + noise(lam, [r * h, (1 - r) * h], z)


def seeds_3(x: Tensor, lam: float, h: float, z: Tensor, r1: float, r2: float) -> Tensor:
    """Algorithm 4 with data prediction, on x/α."""

    def linear(at: float, other: float, value: Tensor) -> Tensor:
        """x̂₀ linear in λ from ``first`` through ``value``: ∫ 2e^(−2(at − t))·t dt = at − (1 − e^(−2·at))/2."""
        return (1 - kept(at)) * first + (at - (1 - kept(at)) / 2) / other * (value - first)

    first, a, b = x0(x, lam), r1 * h, r2 * h
    u1 = kept(a) * x + (1 - kept(a)) * first + noise(lam, [a], z)
    u2 = kept(b) * x + linear(b, a, x0(u1, lam + a)) + noise(lam, [a, b - a], z)
    return kept(h) * x + linear(h, b, x0(u2, lam + b)) + noise(lam, [a, b - a, h - b], z)


def found(scheduler: Scheduler, process: Process) -> Tensor:
    """x/α at the end, with the draws of ``Z``."""
    points = tuple(process.at(lam=lam) for lam in LAMS)
    plan = Plan(scheduler, process, Prediction.V, points)
    end = drive(plan, points[0].alpha * X, DATA.answer, noise=lambda like, interval, draw, clock: Z[interval, draw])
    return end / points[-1].alpha


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("r", [0.5, 0.3])
def test_seeds_2_is_the_papers(process: Process, r: float) -> None:
    expected = X
    for i, (a, b) in enumerate(pairwise(LAMS)):
        expected = seeds_2(expected, a, b - a, Z[i], r)
    assert torch.allclose(found(SEEDS2(guard=False, fitted=False, r=r), process), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize(("r1", "r2"), [(1 / 3, 2 / 3), (0.4, 0.9)])
def test_seeds_3_is_the_papers(process: Process, r1: float, r2: float) -> None:
    expected = X
    for i, (a, b) in enumerate(pairwise(LAMS)):
        expected = seeds_3(expected, a, b - a, Z[i], r1, r2)
    assert torch.allclose(found(SEEDS3(guard=False, r1=r1, r2=r2), process), expected, rtol=1e-10, atol=1e-12)


def test_at_r_1_the_ode_is_the_exponential_form_of_heuns_method() -> None:
    """x₁ = e^−h·x + (1 − e^−h)·D + (h − 1 + e^−h)/h·(D₁ − D), D₁ at the first-order step's end."""
    expected = X
    for a, b in pairwise(LAMS):
        h, first = b - a, x0(expected, a)
        guess = math.exp(-h) * expected + (1 - math.exp(-h)) * first
        expected = guess + (h - 1 + math.exp(-h)) / h * (x0(guess, b) - first)
    result = found(SEEDS2(guard=False, fitted=False, r=1.0, solver="exact", eta=0.0), EDM())
    assert torch.allclose(result, expected, rtol=1e-10, atol=1e-12)
    plan = Plan(SEEDS2(guard=False, r=1.0), EDM(), Prediction.EDM, tuple(EDM().at(lam=lam) for lam in LAMS))
    assert plan.off_grid is None


def test_stages_out_of_order_are_refused() -> None:
    with pytest.raises(OptionError, match="the third evaluation lies after the second"):
        SEEDS3(r1=0.7, r2=0.5)


def spread(scheduler: SEEDS2, process: Process, variance: float, lams: Sequence[float]) -> float:
    """The variance at the end on N(0, variance), as a part of what it should be."""
    plan = Plan(scheduler, process, Prediction.V, tuple(process.at(lam=lam) for lam in lams))
    return float(kept_variance(plan, torch.tensor([variance], dtype=torch.float64)))


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("options", [{}, {"eta": 0.4}, {"r": 1.0}, {"eta_rule": "ancestral", "eta": 0.7}])
def test_long_steps_of_two_stages_keep_the_variance_of_normal_data(options: dict[str, Any], process: Process) -> None:
    lams = (-2.6, -1.4, -0.2, 1.0, 2.2)
    assert spread(SEEDS2(guard=False, **options), process, 1.0, lams) == pytest.approx(1.0, rel=1e-12)
    assert spread(SEEDS2(guard=False, fitted=False, **options), process, 1.0, lams) < 0.98
