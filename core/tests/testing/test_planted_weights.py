"""Faults in deterministic schedulers: the right one passes every check, the faulty one fails the one that is named."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import pytest
from pydantic import Field
from torch import Tensor

from latentry import History, Interval, Noise, NoMemory, Scheduler, Step, remember
from latentry.solvers import combine, exponential_weights

Failed = Callable[..., set[str]]


class ThirdOrder(Scheduler):
    """x₀ as a parabola in λ, integrated exactly; ``second`` scales the second difference."""

    Memory = History
    second: ClassVar[float] = 1.0
    upside_down: ClassVar[bool] = False
    order: int = Field(default=3, ge=1, le=3, description="nodes")

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", self.order)
        count = interval.order(self.order, nodes, lower_final=False)
        if interval.singular:
            return denoised.at(end), History(nodes)
        weights = self.weights([node.point.lam for node in nodes[:count]], start.lam, end.lam)
        terms = ((end.alpha * w, node.value) for w, node in zip(weights, nodes, strict=False))
        return combine((end.sigma / start.sigma, x), *terms), History(nodes)

    def weights(self, lams: list[float], start: float, end: float) -> list[float]:
        """Moments of the exact weights, put together again from divided differences."""
        h = end - start
        exact = exponential_weights(lams, start, end)
        places = [(lam - start) / h for lam in lams]
        moments = [sum(w * u**k for w, u in zip(exact, places, strict=True)) for k in range(len(lams))]
        if len(lams) == 1:
            return moments
        r0 = -places[1]
        if self.upside_down:
            r0 = 1.0 / r0
        if len(lams) == 2:
            return [moments[0] + moments[1] / r0, -moments[1] / r0]
        r1 = places[1] - places[2]
        first, second = moments[1], self.second * moments[2]
        upper = first * (1 + r0 / (r0 + r1)) + second / (r0 + r1)
        lower = first * r0 / (r0 + r1) + second / (r0 + r1)
        return [moments[0] + upper / r0, -upper / r0 - lower / r1, lower / r1]


class HalvedSecondDifference(ThirdOrder):
    second: ClassVar[float] = 0.5


class StepRatioUpsideDown(ThirdOrder):
    upside_down: ClassVar[bool] = True
    order: int = Field(default=2, ge=1, le=3, description="nodes")


class FixedWeights(ThirdOrder):
    """Those of even steps, whatever the steps are."""

    order: int = Field(default=2, ge=1, le=3, description="nodes")

    def weights(self, lams: list[float], start: float, end: float) -> list[float]:
        return super().weights([start - i * (end - start) for i in range(len(lams))], start, end)


class FirstOrder(Scheduler):
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end), memory


class InfinityTimesZero(Scheduler):
    """bh1's: B(h) = −h is infinite where σ = 0, and the difference it multiplies is 0."""

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return combine((1.0, denoised.at(interval.end)), (-interval.h * 0.0, denoised.x0)), memory


class LastSigmaRepeated(Scheduler):
    """The ending is taken to be the last level above 0."""

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end if interval.end.sigma > 0 else interval.start), memory


class WholeTimes(Scheduler):
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x, timestep=math.floor(interval.start.timestep))
        return denoised.at(interval.end), memory


class SigmaForRatio(Scheduler):
    """Euler's method in σ, which is right where α is 1."""

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        if end.sigma == 0.0:
            return denoised.at(end), memory
        return combine((1.0, x), (end.sigma - start.sigma, denoised.eps)), memory


@pytest.mark.slow
def test_right_methods_pass(failed: Failed) -> None:
    assert failed(FirstOrder) == set()
    assert failed(ThirdOrder, order=3) - {"stability"} == set()


@pytest.mark.slow
def test_the_second_difference_halved_costs_the_third_order(failed: Failed) -> None:
    assert failed(HalvedSecondDifference, "coefficients", "convergence", order=3) == {"coefficients", "convergence"}
    assert failed(HalvedSecondDifference, "convergence", order=2) == set(), (
        "it is of order 2, which is why it is hidden"
    )


def test_a_step_ratio_upside_down_shows_on_uneven_grids(failed: Failed) -> None:
    assert "coefficients" in failed(StepRatioUpsideDown, "coefficients", order=2)


@pytest.mark.slow
def test_fixed_weights_must_be_declared(failed: Failed) -> None:
    assert "coefficients" in failed(FixedWeights, "coefficients", order=2)
    assert failed(FixedWeights, "coefficients", "convergence", order=2, variable_order=1) == set()


@pytest.mark.slow
def test_an_order_that_is_declared_too_high_or_too_low(failed: Failed) -> None:
    assert failed(FirstOrder, "convergence", order=2) == {"convergence"}
    assert failed(ThirdOrder, "convergence", order=2) == {"convergence"}


@pytest.mark.slow
def test_infinity_times_zero_at_the_end(failed: Failed) -> None:
    assert {"arrival", "edges"} <= failed(InfinityTimesZero)


@pytest.mark.slow
def test_the_last_sigma_repeated_leaves_noise(failed: Failed) -> None:
    assert "arrival" in failed(LastSigmaRepeated)


@pytest.mark.slow
def test_model_time_in_whole_numbers(failed: Failed) -> None:
    assert failed(WholeTimes) == {"model_time"}


@pytest.mark.slow
def test_sigma_where_sigma_by_alpha_is_meant(failed: Failed) -> None:
    found = failed(SigmaForRatio)
    assert {"one_answer", "convergence"} <= found
    assert failed(SigmaForRatio, processes=frozenset({"edm"})) == set()
