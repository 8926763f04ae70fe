"""Faults in how a step treats tensors, state and its declaration."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pydantic import ConfigDict, PrivateAttr
from torch import Tensor

from latentry import History, Interval, Node, Noise, NoMemory, Scheduler, Step, remember
from latentry.solvers import combine

Failed = Callable[..., set[str]]


class Good(Scheduler):
    """First order, with a history it does not use."""

    Memory = History

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", 2)
        return denoised.at(interval.end), History(nodes)


class WritesIntoSample(Scheduler):
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        end = denoised.at(interval.end)
        x.copy_(end)
        return end, memory


class WritesIntoMemory(Good):
    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        for node in memory.nodes:
            node.value.mul_(0.5)
        return denoised.at(interval.end), History(remember(memory.nodes, denoised, "x0", 2))


class KeepsTheOutput(Good):
    """Its history is the network's own buffer."""

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end), History((Node(interval.start, denoised.output),))


class WaitsForTheDevice(Scheduler):
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        end = denoised.at(interval.end)
        return (end if end.abs().max().item() < 1e6 else x), memory


class LooksAtTheBatch(Scheduler):
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end) + 1e-12 * denoised.x0.mean(), memory


class HalfInside(Scheduler):
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end).to(torch.float32), memory


class RemembersInItself(Scheduler):
    """The last x₀ is kept in the scheduler, where neither threads nor a saved run are thought of."""

    _last: list[Tensor] = PrivateAttr(default_factory=list)

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        last = self._last.pop() if self._last else denoised.x0
        self._last.append(denoised.x0)
        moved = combine((1.0, denoised.x0), (-1.0, last)) if last.shape == x.shape else denoised.x0 * 0.0
        return combine((1.0, denoised.at(interval.end)), (1e-3 * interval.end.sigma, moved)), memory


class TakesAnything(Good):
    model_config = ConfigDict(frozen=False, extra="ignore")


class BetweenTheBoundaries(Scheduler):
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        if interval.singular:
            return denoised.at(interval.end), memory
        middle = interval.at(lam=interval.start.lam + interval.h / 2)
        denoised = yield middle.query(denoised.at(middle))
        return denoised.at(interval.end), memory


class ManyMore(Scheduler):
    """As many evaluations as the sample is large."""

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        if float(x.abs().max()) > 0.0:
            denoised = yield interval.start.query(x)
        return denoised.at(interval.end), memory


@pytest.mark.slow
def test_a_right_method_passes(failed: Failed) -> None:
    assert failed(Good) == set()


@pytest.mark.slow
def test_writing_in_place(failed: Failed) -> None:
    assert "in_place" in failed(WritesIntoSample)
    assert failed(WritesIntoMemory) == {"in_place"}


def test_keeping_the_networks_buffer(failed: Failed) -> None:
    assert failed(KeepsTheOutput, "in_place") == {"in_place"}


def test_waiting_for_the_device(failed: Failed) -> None:
    assert failed(WaitsForTheDevice) == {"host_sync"}


@pytest.mark.slow
def test_a_mean_over_the_batch(failed: Failed) -> None:
    assert "batch" in failed(LooksAtTheBatch)


def test_a_dtype_of_its_own(failed: Failed) -> None:
    assert "dtypes" in failed(HalfInside)


def test_state_outside_of_memory(failed: Failed) -> None:
    assert {"determinism", "resume"} <= failed(RemembersInItself)


def test_options_that_are_not_closed(failed: Failed) -> None:
    assert failed(TakesAnything, "options") == {"options"}


@pytest.mark.slow
def test_evaluations_and_levels_that_are_not_declared(failed: Failed) -> None:
    assert {"evaluations", "off_grid"} <= failed(BetweenTheBoundaries)
    assert failed(BetweenTheBoundaries, "evaluations", "off_grid", evaluations=2, off_grid=True) == set()
    assert "evaluations" in failed(ManyMore, evaluations=1)
    assert "off_grid" in failed(Good, off_grid=True)
