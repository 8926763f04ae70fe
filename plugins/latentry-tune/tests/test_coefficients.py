"""Coefficients are the schedulers' own; what is changed about them is carried on; a table holds the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentry import EDM, Flow, Plan, Prediction, Process, Scheduler, VariancePreserving
from latentry.tables import PlanFile
from latentry.testing import MixtureOracle
from latentry_deis import DEIS
from latentry_ipndm import IPNDM
from latentry_tune import table
from latentry_tune._coefficients import Coefficients, method_of
from latentry_tune._following import follow
from latentry_unipc import UniPC

ORACLE = MixtureOracle()
SD = VariancePreserving.from_betas()
CASES = [
    *((UniPC(order=order, guard=False), Flow(), Prediction.FLOW) for order in (1, 2, 3)),
    (UniPC(guard=False), EDM(), Prediction.EDM),
    (UniPC(guard=False), SD, Prediction.EPSILON),
    (DEIS(guard=False), SD, Prediction.V),
    (IPNDM(order=2, guard=False), SD, Prediction.EPSILON),
]


def noise(rows: int = 6) -> torch.Tensor:
    return torch.randn(rows, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(rows))


def denoise(x: torch.Tensor, point: object, rows: object) -> torch.Tensor:
    return ORACLE.predict(x, point)[0]  # type: ignore[arg-type]


def laid_out(scheduler: Scheduler, process: Process, prediction: Prediction) -> tuple[Plan, Coefficients]:
    plan = scheduler.plan(7, process=process, prediction=prediction, final="zero")
    return plan, method_of(scheduler, process)(plan.points)


def by_run(plan: Plan, x: torch.Tensor) -> torch.Tensor:
    run = plan.start(x)
    while (query := run.query) is not None:
        run.advance(ORACLE.answer(query, plan))
    return run.sample


@pytest.mark.parametrize(("scheduler", "process", "prediction"), CASES)
def test_following_coefficients_is_running_the_scheduler(
    scheduler: Scheduler, process: Process, prediction: Prediction
) -> None:
    plan, method = laid_out(scheduler, process, prediction)
    x = noise() * plan.noise_scale()
    assert torch.allclose(follow(denoise, method, x, range(len(x))).end, by_run(plan, x), atol=1e-10)


@pytest.mark.parametrize(("scheduler", "process", "prediction"), CASES)
def test_a_plan_file_of_changed_coefficients_does_the_same(
    scheduler: Scheduler, process: Process, prediction: Prediction
) -> None:
    plan, method = laid_out(scheduler, process, prediction)
    changed = method.changed(np.random.default_rng(4).uniform(-0.3, 0.3, (7, 2)))
    x = noise() * plan.noise_scale()
    wanted = follow(denoise, changed, x, range(len(x))).end
    assert not torch.allclose(wanted, by_run(plan, x), atol=1e-3)
    file = PlanFile.from_json(PlanFile(table(changed, plan)).to_json())
    assert torch.allclose(by_run(file.plan(process, prediction), x), wanted, atol=1e-10)
    alive: set[str] = set()
    for step in file.table.steps:  # nothing outlives the run
        alive |= {step.sample, *(operation.into for operation in step.operations)}
        alive -= set(step.drop)
    assert alive == set()


def test_a_change_keeps_what_is_constant_and_is_carried_on() -> None:
    _, method = laid_out(UniPC(guard=False), Flow(), Prediction.FLOW)
    shares = np.zeros((7, 2))
    shares[2, 1] = 0.25
    changed = method.changed(shares)
    ones = np.ones(7)
    assert np.allclose(changed.weights @ ones, method.weights @ ones, atol=1e-14)
    more = changed.weights - method.weights
    size = changed.points[3].alpha * (1 - changed.points[3].s / changed.points[2].s)
    assert more[2, [0, 2]] == pytest.approx([0.25 * size, -0.25 * size])
    assert more[4] == pytest.approx(more[2] * changed.points[5].sigma / changed.points[3].sigma)
    assert np.array_equal(more[6], np.zeros(7))  # at σ = 0 nothing of an earlier sample is left


def test_a_prefix_is_not_computed_again() -> None:
    _, method = laid_out(UniPC(guard=False), Flow(), Prediction.FLOW)
    x, rows = noise(), range(6)
    shares = np.zeros((7, 2))
    shares[3, 0] = 0.1  # moves the sample at boundary 4 first
    whole = follow(denoise, method.changed(shares), x, rows)
    asked: list[float] = []

    def counting(x: torch.Tensor, point: object, rows: object) -> torch.Tensor:
        asked.append(point.lam)  # type: ignore[attr-defined]
        return denoise(x, point, rows)

    short = follow(counting, method.changed(shares), x, rows, follow(denoise, method, x, rows), since=4)
    assert torch.equal(short.end, whole.end)
    assert asked == [point.lam for point in method.points[4:7]]
