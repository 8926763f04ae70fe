"""CFG++: the conformance suites, and the paper's updates written out for two networks that disagree."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Prediction, Process, Scheduler, VariancePreserving
from latentry.testing import MixtureOracle, SchedulerSuite
from latentry_cfgpp import DDIMCFGpp, DPMpp2MCFGpp, DPMpp2SAncestralCFGpp, EulerAncestralCFGpp

FREE, ASKED = MixtureOracle(), MixtureOracle([(1.0, 0.4)], 0.2)
SCALE = 0.6
LEVELS = (9.0, 5.0, 2.2, 1.5, 0.4)
PROCESSES: list[Process] = [EDM(), VariancePreserving.from_betas(), Flow()]


class TestDDIMCFGpp(SchedulerSuite):
    scheduler = "ddim-cfgpp"


class TestEulerAncestralCFGpp(SchedulerSuite):
    scheduler = "euler-ancestral-cfgpp"


class TestDPMpp2MCFGpp(SchedulerSuite):
    scheduler = "dpmpp-2m-cfgpp"


class TestDPMpp2SAncestralCFGpp(SchedulerSuite):
    scheduler = "dpmpp-2s-ancestral-cfgpp"


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, Z = LEVELS[0] * normal(6, 2, seed=1), normal(len(LEVELS), 6, 2, seed=2)
"""x/α at the start, and the draw of each step."""


def both(x: Tensor, s: float) -> tuple[Tensor, Tensor]:
    """x̂₀ with guidance and without, for x/α."""
    free, asked = (oracle.predict(x, EDM().at(s=s))[0] for oracle in (FREE, ASKED))
    return free + SCALE * (asked - free), free


def found(scheduler: Scheduler, process: Process) -> Tensor:
    """x/α at the end of ``LEVELS``, with the draws of ``Z``."""
    points = tuple(process.at(s=s) for s in LEVELS)
    plan = Plan(scheduler, process, Prediction.V, points)
    run = plan.start(points[0].alpha * X, noise=lambda like, interval, draw, clock: Z[interval])
    while (query := run.query) is not None:
        free, asked = FREE.answer(query, plan), ASKED.answer(query, plan)
        run.advance(torch.lerp(free, asked, SCALE), uncond=free)
    return run.sample / points[-1].alpha


def down_and_up(s: float, to: float, eta: float) -> tuple[float, float]:
    """Ancestral sampling's σ_down and σ_up."""
    up = min(to, eta * to * math.sqrt(1 - (to / s) ** 2))
    return math.sqrt(to**2 - up**2), up


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
def test_ddim_denoises_with_guidance_and_noises_without(process: Process) -> None:
    """Algorithm 2: x ← √ᾱ·x̂₀ + √(1 − ᾱ)·ε̂, ε̂ = (x − √ᾱ·x̂₀)/√(1 − ᾱ) of the unguided x̂₀."""
    expected = X
    for s, to in pairwise(LEVELS):
        guided, free = both(expected, s)
        expected = guided + to * (expected - free) / s
    assert torch.allclose(found(DDIMCFGpp(), process), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
def test_ancestral_euler_adds_noise_to_a_step_that_went_lower(process: Process, eta: float) -> None:
    expected = X
    for i, (s, to) in enumerate(pairwise(LEVELS)):
        down, up = down_and_up(s, to, eta)
        guided, free = both(expected, s)
        expected = guided + down * (expected - free) / s + up * Z[i]
    assert torch.allclose(found(EulerAncestralCFGpp(eta=eta), process), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
def test_2m_is_the_authors(process: Process) -> None:
    """x ← D + e^−h·(x − U) + (1 − e^−h)/(2r)·(D − U_before), D and U x̂₀ with guidance and without."""
    expected, before, last = X, None, 0.0
    for s, to in pairwise(LEVELS):
        h, (guided, free) = math.log(s / to), both(expected, s)
        moved = guided + math.exp(-h) * (expected - free)
        if before is not None:
            moved = moved - math.expm1(-h) / (2 * last / h) * (guided - before)
        expected, before, last = moved, free, h
    assert torch.allclose(found(DPMpp2MCFGpp(guard=False), process), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("gamma", [1.0, 2.0, 2.7])
def test_gradient_estimation_corrects_the_unguided_noise(process: Process, gamma: float) -> None:
    """x ← D + σ′·ε + (σ′ − σ)·(γ − 1)·(ε − ε_before), ε of the unguided output and D the guided x̂₀."""
    expected, before = X, None
    for s, to in pairwise(LEVELS):
        guided, free = both(expected, s)
        eps = (expected - free) / s
        moved = guided + to * eps
        if before is not None:
            moved = moved + (to - s) * (gamma - 1) * (eps - before)
        expected, before = moved, eps
    assert torch.allclose(found(DDIMCFGpp(gamma=gamma), process), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_res_takes_the_slope_between_unguided_outputs(process: Process, eta: float) -> None:
    """x ← D + e^(−(1 + η)h)·(x − U) + b₂·(U_before − U), with b₂ = φ₂((1 + η)h)/c₂ of RES and c₂ = −h_before/h."""
    expected, before, last = X, None, 0.0
    for i, (s, to) in enumerate(pairwise(LEVELS)):
        h, (guided, free) = math.log(s / to), both(expected, s)
        z = (1 + eta) * h
        moved = guided + math.exp(-z) * (expected - free)
        if before is not None:
            slope = (1 - (1 - math.exp(-z)) / z) * h / last  # z·φ₂(z)/z, of the step before's length
            moved = moved + slope * (free - before)
        expected = moved + to * math.sqrt(1 - math.exp(-2 * eta * h)) * Z[i]
        before, last = free, h
    scheduler = DPMpp2MCFGpp(guard=False, solver="exact", slope="unguided", eta=eta)
    assert torch.allclose(found(scheduler, process), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_2s_ancestral_is_the_authors(process: Process, eta: float) -> None:
    expected = X
    for i, (s, to) in enumerate(pairwise(LEVELS)):
        down, up = down_and_up(s, to, eta)
        middle, (_, free) = math.sqrt(s * down), both(expected, s)
        guided, freed = both(middle / s * expected + (1 - middle / s) * free, middle)
        expected = guided + down / s * (expected - freed) + up * Z[i]
    assert torch.allclose(found(DPMpp2SAncestralCFGpp(eta=eta), process), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scheduler", [DDIMCFGpp(), DPMpp2MCFGpp(), DPMpp2SAncestralCFGpp(), EulerAncestralCFGpp()])
def test_without_the_unguided_output_a_run_refuses_to_go_on(scheduler: Scheduler) -> None:
    run = Plan(scheduler, EDM(), Prediction.EDM, tuple(EDM().at(s=s) for s in LEVELS)).start(X)
    assert run.query is not None
    with pytest.raises(ValueError, match="needs the unguided output too"):
        run.advance(torch.zeros_like(X))


@pytest.mark.parametrize("scheduler", [DDIMCFGpp(), DPMpp2MCFGpp(), DPMpp2SAncestralCFGpp(), EulerAncestralCFGpp()])
def test_the_last_step_is_the_guided_x0(scheduler: Scheduler) -> None:
    plan = Plan(scheduler, Flow(), Prediction.FLOW, (Flow().noisiest, Flow().at(s=1.0), Flow().clean()))
    run = plan.start(normal(4, 2, seed=3), seed=1)
    while (query := run.query) is not None:
        guided, free = (oracle.answer(query, plan) for oracle in (ASKED, FREE))
        expected = run.denoise(guided).x0
        run.advance(guided, uncond=free)
    assert torch.equal(run.sample, expected)
