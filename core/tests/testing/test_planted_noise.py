"""Faults in stochastic schedulers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from latentry import History, Interval, Noise, NoMemory, Scheduler, Step, remember
from latentry.solvers import combine, exponential_weights

Failed = Callable[..., set[str]]


class Ancestral(Scheduler):
    """DDPM's posterior; ``exploding`` adds the noise of variance-exploding models, which lacks α."""

    exploding: ClassVar[bool] = False

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        if end.sigma == 0.0 or end.s >= start.s:
            return denoised.at(end), memory
        fresh = end.sigma * math.sqrt(1.0 - (end.s / start.s) ** 2)
        kept = end._replace(sigma=end.sigma * end.s / start.s)
        if self.exploding:
            fresh /= end.alpha
        return combine((1.0, denoised.at(kept)), (fresh, noise())), memory


class ExplodingNoise(Ancestral):
    exploding: ClassVar[bool] = True


class ThirdOrderSDE(Scheduler):
    """DPM-Solver++'s SDE (rate 2) with x₀ as a parabola in λ; with ``sign_turned`` the ½ is taken away instead."""

    Memory = History
    sign_turned: ClassVar[bool] = False

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", 3)
        if interval.singular:
            mixed = denoised.at(end) if end.sigma == 0.0 else end.mix(denoised.x0, noise())
            return mixed, History(nodes)
        count = interval.order(3, nodes, lower_final=False)
        weights = self._weights([node.point.lam for node in nodes[:count]], start.lam, end.lam)
        terms = [(end.alpha * w, node.value) for w, node in zip(weights, nodes, strict=False)]
        fresh = end.sigma * math.sqrt(-math.expm1(-2.0 * interval.h)) if interval.h > 0 else 0.0
        kept = end.sigma / start.sigma * math.exp(-interval.h)
        return combine((kept, x), *terms, (fresh, noise())), History(nodes)

    def _weights(self, lams: list[float], start: float, end: float) -> list[float]:
        exact = list(exponential_weights(lams, start, end, 2.0))
        if len(lams) < 3 or not self.sign_turned:
            return exact
        # (1 − e^(−2h) − 2h)/(2h)² + 1/2, twice, is the integral that belongs to the curvature
        a, b, c = ((lam - start) / (end - start) for lam in lams)
        turned = -2.0
        curvature = (1 / ((a - b) * (a - c)), 1 / ((b - a) * (b - c)), 1 / ((c - a) * (c - b)))
        return [w + turned * q for w, q in zip(exact, curvature, strict=True)]


class SignTurned(ThirdOrderSDE):
    sign_turned: ClassVar[bool] = True


class TwoPieces(Scheduler):
    """Two ancestral steps in one; ``again`` uses the first draw in the second piece too."""

    again: ClassVar[bool] = False
    overlapping: ClassVar[bool] = False

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        start, end = interval.start, interval.end
        if interval.singular or interval.h <= 0:
            denoised = yield start.query(x)
            fresh = () if end.sigma == 0.0 or interval.h <= 0 else ((end.sigma, noise()),)
            return combine((1.0, denoised.at(end._replace(sigma=0.0) if fresh else end)), *fresh), memory
        middle = interval.at(lam=start.lam + interval.h / 2)
        clock = [-math.log(p.s) for p in (start, middle, end)]
        z = noise(clock[0], clock[1])
        for a, b, piece in ((start, middle, 0), (middle, end, 1)):
            denoised = yield a.query(x)
            if piece and not self.again:
                z = noise(clock[0 if self.overlapping else 1], clock[2])
            fresh = b.sigma * math.sqrt(1.0 - (b.s / a.s) ** 2)
            x = combine((1.0, denoised.at(b._replace(sigma=b.sigma * b.s / a.s))), (fresh, z))
        return x, memory


class DrawUsedTwice(TwoPieces):
    again: ClassVar[bool] = True


class OverlappingPieces(TwoPieces):
    overlapping: ClassVar[bool] = True


class OwnRandomness(Scheduler):
    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return combine((1.0, denoised.at(interval.end)), (1e-9 * interval.end.sigma, torch.randn_like(x))), memory


@pytest.mark.slow
def test_right_methods_pass(failed: Failed) -> None:
    assert failed(Ancestral, stochastic=True) == set()
    assert failed(ThirdOrderSDE, stochastic=True, order=2) - {"stability"} == set()
    assert failed(TwoPieces, stochastic=True, evaluations=2, off_grid=True) == set()


@pytest.mark.slow
def test_exploding_noise_is_wrong_where_alpha_is_not_1(failed: Failed) -> None:
    assert {"variance", "one_answer"} <= failed(ExplodingNoise, stochastic=True)
    assert failed(ExplodingNoise, stochastic=True, processes=frozenset({"edm"})) == set()


def test_the_sign_turned_in_the_sde_costs_an_order(failed: Failed) -> None:
    assert failed(SignTurned, "variance", stochastic=True, order=2) == {"variance"}


@pytest.mark.slow
def test_a_draw_used_twice_has_too_much_variance(failed: Failed) -> None:
    assert "variance" in failed(DrawUsedTwice, stochastic=True, evaluations=2, off_grid=True)


@pytest.mark.slow
def test_pieces_of_one_path_do_not_overlap(failed: Failed) -> None:
    assert failed(OverlappingPieces, stochastic=True, evaluations=2, off_grid=True) == {"clock"}


@pytest.mark.slow
def test_noise_that_is_not_declared(failed: Failed) -> None:
    assert "noise" in failed(Ancestral)


@pytest.mark.slow
def test_randomness_of_its_own(failed: Failed) -> None:
    assert {"determinism", "resume", "batch"} <= failed(OwnRandomness)
