"""Faults of steps that a table would hide, and steps that have no table."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import PrivateAttr
from torch import Tensor

from latentry import Interval, Noise, NoMemory, Scheduler, Step
from latentry.solvers import combine
from latentry.testing import Subject, check_scheduler

Failed = Callable[..., set[str]]


class Counts(Scheduler):
    """Goes a little less far each time it is called, which it remembers in itself."""

    _calls: list[int] = PrivateAttr(default_factory=list)

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        self._calls.append(1)
        return combine((1.0 - 1e-6 * len(self._calls), denoised.at(interval.end))), memory


class Clips(Scheduler):
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end).clamp(-3.0, 3.0), memory


class DecidesByDtype(Scheduler):
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        factor = 1.0 if x.dtype == torch.float64 else 0.5
        return denoised.at(interval.end) * factor, memory


def measured(target: type[Scheduler]) -> set[str]:
    """What the check says."""
    return {result.measured for result in check_scheduler(Subject.of(target), ("table",))}


def test_a_step_that_keeps_something_outside_its_memory(failed: Failed) -> None:
    assert failed(Counts, "table") == {"table"}


def test_without_a_table_it_is_not_at_fault_and_says_why(failed: Failed) -> None:
    assert failed(Clips, "table") == set()
    assert measured(Clips) == {"no table: Clips is not linear: its step asks a tensor for 'clamp'."}


def test_what_symbols_do_not_know_is_not_guessed() -> None:
    assert measured(DecidesByDtype) == {"no table: DecidesByDtype is not linear: its step asks a tensor for 'dtype'."}
