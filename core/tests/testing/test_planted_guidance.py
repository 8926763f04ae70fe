"""Faults of schedulers that need the unguided output, and what the kit says of adaptive ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar
from unittest import SkipTest

import pytest
from support.toys import Greedy, Halving
from torch import Tensor

from latentry import History, Interval, Node, Noise, NoMemory, Scheduler, SchedulerSpec, Step
from latentry.solvers import combine
from latentry.testing import CheckResult, SchedulerSuite, Subject, check_scheduler

Failed = Callable[..., set[str]]
NEEDS = frozenset({"uncond"})
ADAPTIVE = {"off_grid", "coefficients", "convergence", "variance", "clock", "host_sync"}


class Exchanged(Scheduler):
    """CFG++ with the two outputs exchanged."""

    needs: ClassVar[frozenset[str]] = NEEDS

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        assert denoised.uncond is not None
        return interval.end.mix(denoised.uncond.x0, denoised.eps), memory


class ExchangedButAtTheEnd(Scheduler):
    """The same, hidden by a last step that is right."""

    needs: ClassVar[frozenset[str]] = NEEDS

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        assert denoised.uncond is not None
        if interval.end.sigma == 0.0:
            return denoised.at(interval.end), memory
        return interval.end.mix(denoised.uncond.x0, denoised.eps), memory


class Ignores(Scheduler):
    """Costs the host an evaluation and does not look at it."""

    needs: ClassVar[frozenset[str]] = NEEDS

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end), memory


class Unguided(Scheduler):
    """Takes everything from the unguided output."""

    needs: ClassVar[frozenset[str]] = NEEDS

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        assert denoised.uncond is not None
        return denoised.uncond.at(interval.end), memory


class TwoStepCFGpp(Scheduler):
    """DPM-Solver++(2M) with the guided x₀ and the old unguided x₀ in the extrapolation: right, and multistep."""

    needs: ClassVar[frozenset[str]] = NEEDS
    Memory: ClassVar[type] = History

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        assert denoised.uncond is not None
        mixed = end.mix(denoised.x0, denoised.uncond.eps)
        nodes = (Node(start, denoised.uncond.x0),)
        if interval.singular or not memory.nodes or math.isinf(memory.nodes[0].point.lam):
            return mixed, History(nodes)
        old = memory.nodes[0]
        ratio = 0.1 * interval.h / (start.lam - old.point.lam)
        return combine((1.0, mixed), (ratio, denoised.uncond.x0), (-ratio, old.value)), History(nodes)


@pytest.mark.parametrize("kind", [Exchanged, ExchangedButAtTheEnd, Ignores, Unguided])
def test_a_wrong_use_of_the_unguided_output_fails(failed: Failed, kind: type[Scheduler]) -> None:
    assert failed(kind, "unguided", needs=NEEDS) == {"unguided"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Exchanged, Ignores])
def test_no_other_check_finds_it(failed: Failed, kind: type[Scheduler]) -> None:
    """Where both outputs are the same there is nothing to see."""
    assert failed(kind, "arrival", "one_answer", "convergence", needs=NEEDS) == set()


@pytest.mark.parametrize("kind", [Greedy, TwoStepCFGpp])
def test_a_right_use_passes(failed: Failed, kind: type[Scheduler]) -> None:
    assert failed(kind, "unguided", "arrival", needs=NEEDS) == set()


def adaptive(check: str) -> list[CheckResult]:
    spec = SchedulerSpec(
        name="halving", target="support.toys:Halving", summary="", adaptive=True, stochastic=True, evaluations=0
    )
    return list(check_scheduler(Subject.of(Halving, spec=spec), [check]))


@pytest.mark.parametrize("check", sorted(ADAPTIVE))
def test_what_does_not_run_for_an_adaptive_scheduler_says_so(check: str) -> None:
    (result,) = adaptive(check)
    assert (result.measured, result.verdict) == ("not run", "exempt")
    assert result.exempt.startswith("it")


@pytest.mark.slow
def test_the_other_checks_run_on_it() -> None:
    for check in ("batch", "determinism", "resume", "in_place", "dtypes"):
        results = adaptive(check)
        assert results
        assert not any(result.exempt for result in results), check
        assert all(result.passed for result in results), check


def test_the_suite_skips_what_does_not_run_with_the_reason() -> None:
    class Suite(SchedulerSuite):
        scheduler = Halving
        spec = SchedulerSpec(
            name="halving", target="support.toys:Halving", summary="", adaptive=True, stochastic=True, evaluations=0
        )

    with pytest.raises(SkipTest, match="cannot be doubled"):
        Suite().test_convergence()
    Suite().test_batch()
