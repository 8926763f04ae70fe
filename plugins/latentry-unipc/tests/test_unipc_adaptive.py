"""Adaptive UniPC: the conformance suite, UniPC on the steps that it chose, tolerance and budget."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Point, Prediction, Process, VariancePreserving
from latentry.testing import MixtureOracle, SchedulerSuite, drive
from latentry_unipc import UniPC, UniPCAdaptive

DATA = MixtureOracle()
PROCESSES: list[Process] = [VariancePreserving.from_betas(), Flow(), EDM()]
ENDLESS = 2000
"""More evaluations than any run here takes: one that gets there does not end."""


class TestUniPCAdaptive(SchedulerSuite):
    scheduler = "unipc-adaptive"


def start(seed: int) -> Tensor:
    return torch.randn(1, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(process: Process, **options: float | str) -> Plan:
    points = (process.at(s=20.0), process.clean())
    return Plan(UniPCAdaptive.model_validate(options), process, Prediction.V, points)


def followed(plan: Plan, seed: int) -> tuple[list[Point], list[Point], Tensor]:
    """Where it evaluated, where its steps ended, and the sample at the end."""
    run, asked, reached = plan.start(plan.noise_scale() * start(seed)), [], [plan.points[0]]
    while (query := run.query) is not None:
        asked.append(query.point)
        assert len(asked) < ENDLESS
        run.advance(DATA.answer(query, plan))
        if run.point != reached[-1]:
            reached.append(run.point)
    reached.append(run.point)  # the last step takes the x₀ that is known, and asks for nothing
    return asked, reached, run.sample


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_it_is_unipc_on_the_steps_that_it_accepts(process: Process, order: int) -> None:
    plan = whole(process, order=order, rtol=0.02)
    asked, reached, found = followed(plan, order)
    assert len(asked) > len(reached) - 1 > 6  # some were rejected
    fixed = UniPC(order=order, lower_order_final=False, guard=False)
    same = Plan(fixed, process, Prediction.V, tuple(reached))
    assert torch.allclose(found, drive(same, plan.noise_scale() * start(order), DATA.answer), rtol=0, atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
def test_a_stricter_tolerance_costs_more_and_errs_less(process: Process) -> None:
    counts, errors = [], []
    for rtol in (0.2, 0.02, 0.002):
        plan = whole(process, rtol=rtol, atol=rtol / 6, last_level=1e-3)
        runs = [(followed(plan, seed), plan.noise_scale() * start(seed)) for seed in range(4)]
        counts.append(sum(len(asked) for (asked, _, _), _ in runs))
        exact = [DATA.path(x, plan.points[0], plan.points[-1]) for _, x in runs]
        errors.append(sum(float((end - goal).norm()) for ((_, _, end), _), goal in zip(runs, exact, strict=True)))
    assert counts == sorted(set(counts))
    assert errors[2] < errors[1] / 3 < errors[0] / 6


@pytest.mark.parametrize("budget", [2, 5, 9, 16])
@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
def test_a_budget_is_kept_and_the_end_reached(process: Process, budget: int) -> None:
    for seed in range(5):
        plan = whole(process, budget=budget, rtol=1e-3, atol=1e-4)
        asked, reached, _ = followed(plan, seed)
        assert len(asked) <= budget
        assert reached[-1] == plan.points[-1]
    free = len(followed(whole(process, rtol=1e-3, atol=1e-4), 0)[0])
    assert free > 16


def test_a_sample_that_was_changed_between_steps_is_evaluated_again() -> None:
    plan = whole(PROCESSES[0])
    counts = []
    for change in (0.0, 0.01):
        run, asked = plan.start(plan.noise_scale() * start(0)), 0
        while run.point == plan.points[0]:
            query = run.query
            assert query is not None
            run.advance(DATA.answer(query, plan))
            asked += 1
        run.replace(run.sample + change)
        query = run.query
        assert query is not None
        counts.append((asked, query.point == run.point))
    assert counts == [(2, False), (2, True)]
