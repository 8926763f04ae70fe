"""The guard: what it leaves alone, what it draws back, and that it is in tables and files."""

from __future__ import annotations

import json
import math

import pytest
import torch
from support.oracles import SD, noise
from support.toys import Guarded, TwoStep
from torch import Tensor

from latentry import IncompatibleError, Interval, Noise, NoMemory, Plan, Prediction, Scheduler, Step
from latentry.solvers import combine, extrapolation_gain, guarded
from latentry.tables import Guard, PlanFile, Table, formulas

LEVELS = (14.0, 5.0, 1.0, 0.3)


def planned(scheduler: Scheduler) -> Plan:
    return scheduler.plan(process=SD, prediction=Prediction.EPSILON, sigmas=LEVELS)


def finish(plan: Plan, x: Tensor) -> Tensor:
    run = plan.start(x)
    while (query := run.query) is not None:
        run.advance(torch.sin(3.0 * query.x + query.timestep / 100.0))
    return run.sample


def rms(x: Tensor) -> float:
    return math.sqrt(float(x.square().mean()))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.75, 1.0])
def test_the_step_is_as_long_as_the_definition_says(share: float) -> None:
    """κ chosen so that q = (2 − share)·κ."""
    first, full, denoised = noise(1, 40), noise(1, 40) * 0.3 + 1.0, noise(1, 40) * 2.0
    q = 0.7 * rms(full - first) / rms(denoised)
    found = guarded(first, full, denoised, gain=0.7, kappa=q / (2.0 - share))
    assert torch.allclose(found, first + share * (full - first), rtol=1e-12, atol=1e-14)


def test_beyond_its_bounds_it_is_one_step_or_the_other() -> None:
    first, full, denoised = noise(2, 5), noise(2, 5) + 1.0, noise(2, 5)
    assert torch.allclose(guarded(first, full, denoised, gain=1.0, kappa=1e6), full, rtol=1e-14, atol=1e-14)
    assert torch.equal(guarded(first, full, denoised, gain=1.0, kappa=1e-6), first)


def test_each_sample_is_guarded_alone() -> None:
    first, denoised = noise(3, 2, 4).float(), noise(3, 2, 4).float()
    full = first + torch.tensor([0.01, 1.0, 100.0]).view(3, 1, 1) * denoised
    whole = guarded(first, full, denoised, gain=1.0, kappa=0.8)
    for i in range(3):
        row = slice(i, i + 1)
        assert torch.equal(guarded(first[row], full[row], denoised[row], gain=1.0, kappa=0.8), whole[row])
    assert torch.allclose(whole[0], full[0])
    assert torch.equal(whole[2], first[2])


def test_nothing_beside_nothing_is_finite() -> None:
    zero = torch.zeros(1, 4)
    assert torch.equal(guarded(zero, zero, zero, gain=1.0, kappa=0.3), zero)
    assert torch.equal(guarded(zero, zero + 1.0, zero, gain=1.0, kappa=0.3), zero)


def test_the_gain_makes_it_a_matter_of_x0() -> None:
    """x gains α·(1 − e^−h)·x̂₀ in a step: where that is off by a quarter of x̂₀, q is a quarter."""
    alpha, h, wrong = 0.8, 1.3, 0.25
    denoised = noise(1, 30)
    first = alpha * -math.expm1(-h) * denoised
    q = extrapolation_gain(alpha, h) * rms(first * (1 + wrong) - first) / rms(denoised)
    assert q == pytest.approx(wrong, rel=1e-12)


def test_a_guarded_plan_is_a_table_with_guards_and_they_act() -> None:
    plan, x = planned(Guarded()), noise(2, 6)
    table = plan.table()
    assert isinstance(table, Table)
    guards = [operation for step in table.steps for operation in step.operations if isinstance(operation, Guard)]
    assert [guard.kappa for guard in guards] == [0.3, 0.3]
    assert not torch.allclose(finish(plan, x), finish(planned(TwoStep()), x), rtol=1e-3)
    assert torch.allclose(finish(planned(Guarded(kappa=1e9)), x), finish(planned(TwoStep()), x), rtol=1e-10)
    lines = list(formulas(table))
    assert sum("guard(" in line and "κ = 0.3" in line for line in lines) == 2
    content = json.loads(PlanFile(table).to_json())
    assert sum("guard" in do for step in content["steps"] for do in step["do"]) == 2


def test_noise_within_a_guard_has_no_gaussian() -> None:
    class GuardedNoise(Scheduler):
        def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
            denoised = yield interval.start.query(x)
            end = denoised.at(interval.end)
            full = combine((1.0, end), (0.1, noise()))
            return guarded(end, full, denoised.x0, gain=1.0, kappa=0.3), memory

    run = planned(GuardedNoise()).start(noise(1, 4))
    assert run.query is not None
    run.advance(run.query.x)
    with pytest.raises(IncompatibleError, match="is not known") as raised:
        _ = run.transition
    assert "guard" in raised.value.why
    assert "guard=False" in raised.value.remedy
