"""Restart: the conformance suite, the paper's algorithm written out, and that errors fade."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentry import EDM, Flow, OptionError, Plan, Prediction, Process, VariancePreserving
from latentry.testing import GaussianOracle, MixtureOracle, SchedulerSuite, drive
from latentry_restart import Restart

DATA = MixtureOracle()
PROCESSES: list[Process] = [EDM(), VariancePreserving.from_betas(), Flow()]


class TestRestart(SchedulerSuite):
    scheduler = "restart"


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def heun(x: Tensor, levels: list[float]) -> Tensor:
    """Heun's method on dx/dσ = ε, Euler's to 0."""
    for s, to in pairwise(levels):
        slope = DATA.predict(x, EDM().at(s=s))[1]
        guess = x + (to - s) * slope
        other = DATA.predict(guess, EDM().at(s=to))[1] if to > 0.0 else slope
        x = x + (to - s) * (slope + other) / 2
    return x


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("count", [1, 2])
def test_it_is_the_papers_algorithm(process: Process, count: int) -> None:
    low, high, steps = 0.5, 3.0, 3
    x, z = 8.0 * normal(6, 2, seed=1), normal(count, 6, 2, seed=2)
    way = [(high ** (1 / 7) + i / steps * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for i in range(steps + 1)]
    expected = heun(x, [8.0, 4.0, 1.0, low])
    for k in range(count):
        expected = heun(expected + math.sqrt(high**2 - low**2) * z[k], way)
    expected = heun(expected, [low, 0.4, 0.1, 0.0])
    scheduler = Restart(
        guard=False,
        restart_min=low,
        restart_max=high,
        restarts=count,
        restart_steps=steps,
        clock="s",
        longest_step=math.inf,
    )
    points = tuple(process.at(s=s) for s in (8.0, 4.0, 1.0, 0.4, 0.1, 0.0))
    plan = Plan(scheduler, process, Prediction.V, points)
    assert plan.evaluations_by_step == (2, 2, 4 + 2 * count * steps, 2, 1)
    found = drive(plan, points[0].alpha * x, DATA.answer, noise=lambda like, interval, draw, clock: z[draw])
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_a_boundary_at_the_level_is_not_a_stop_of_its_own() -> None:
    levels = (3.0, 0.3, 0.1)
    plan = Plan(Restart(guard=False, restart_steps=4), EDM(), Prediction.EDM, tuple(EDM().at(s=s) for s in levels))
    assert plan.evaluations_by_step == (2, 10)


@pytest.mark.parametrize("levels", [(4.0, 2.0, 0.5), (0.25, 0.1, 0.05)])
def test_without_crossing_the_level_it_is_heuns_method(levels: tuple[float, ...]) -> None:
    plan = Plan(Restart(guard=False, clock="s"), EDM(), Prediction.EDM, tuple(EDM().at(s=s) for s in levels))
    x = levels[0] * normal(4, 2, seed=3)
    assert torch.allclose(drive(plan, x, DATA.answer), heun(x, list(levels)), rtol=1e-12)


def test_no_restart_goes_above_the_level_that_the_run_began_at() -> None:
    def highest(*levels: float) -> float:
        plan = Plan(Restart(guard=False), EDM(), Prediction.EDM, tuple(EDM().at(s=s) for s in levels))
        return max(query.point.s for query in (plan.queries or ())[1:])

    assert highest(4.0, 0.4, 0.1) == pytest.approx(1.0)
    assert highest(0.6, 0.4, 0.1) == pytest.approx(0.6)
    assert highest(0.3, 0.1) == pytest.approx(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_an_error_fades_with_each_restart(count: int) -> None:
    """For N(μ, d) the flow from s to s′ multiplies x − μ by √((d + s′²)/(d + s²)), and noise leaves it as it is."""
    d, low, high = 0.3, 0.4, 2.0
    scheduler = Restart(guard=False, restart_min=low, restart_max=high, restarts=count, restart_steps=80)
    plan = Plan(scheduler, EDM(), Prediction.EDM, (EDM().at(s=low), EDM().at(s=0.39)))
    plan = Plan(scheduler, EDM(), Prediction.EDM, (EDM().at(s=high), *plan.points))
    run, oracle = plan.start(high * normal(1, 3, seed=4)), GaussianOracle(0.2, d)
    while run.index < 1:
        assert run.query is not None
        run.advance(oracle.answer(run.query, plan))
    ends = []
    for error in (0.0, 1.0):
        again = plan.resume(run.state())
        again.replace(again.sample + error)
        while (query := again.query) is not None:
            again.advance(oracle.answer(query, plan))
        ends.append(again.sample)
    kept = math.sqrt((d + low**2) / (d + high**2)) ** count * math.sqrt((d + 0.39**2) / (d + low**2))
    assert float((ends[1] - ends[0]).mean()) == pytest.approx(kept, rel=1e-3)


def test_levels_out_of_order_are_refused() -> None:
    with pytest.raises(OptionError, match="noise is added"):
        Restart(restart_min=2.0)
