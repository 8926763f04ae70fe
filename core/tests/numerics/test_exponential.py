"""Quadrature weights, the step they are for, and which evaluations may have one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.oracles import SD
from torch import Tensor

from latentry import Denoised, Flow, Interval, Node, Point, Prediction
from latentry._numerics._processes._prediction import forms
from latentry.solvers import DynamicThreshold, exponential_step, exponential_weights, midpoint_weights

START, END = 0.3, 1.1
NODES = (0.3, -0.2, -0.9, -1.1)


def integral(rate: float, power: int, *, signal: bool = False) -> float:
    """∫ rate·e^(−rate·(END − λ))·y^power dλ, y being λ, or e^(λ − END)."""
    places, parts = np.polynomial.legendre.leggauss(40)
    lams = START + (END - START) * (places + 1) / 2
    y = np.exp(lams - END) if signal else lams
    return float(parts @ (rate * np.exp(-rate * (END - lams)) * y**power)) * (END - START) / 2


@pytest.mark.parametrize("rate", [1.0, -1.0, 1.5, 2.0, 0.1, -0.1])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_exponential_weights_integrate_polynomials(rate: float, count: int) -> None:
    weights = exponential_weights(NODES[:count], START, END, rate)
    for power in range(count):
        found = sum(w * node**power for w, node in zip(weights, NODES, strict=False))
        assert found == pytest.approx(integral(rate, power), rel=1e-11)


@pytest.mark.parametrize("rate", [1.0, -1.0, 1.5, 2.0])
def test_with_a_node_at_pure_noise_they_integrate_polynomials_in_the_signal(rate: float) -> None:
    nodes = (START, -math.inf, -0.5)
    weights = exponential_weights(nodes, START, END, rate)
    for power in range(3):
        found = sum(w * math.exp(node - END) ** power for w, node in zip(weights, nodes, strict=True))
        assert found == pytest.approx(integral(rate, power, signal=True), rel=1e-11)


def test_a_step_from_pure_noise_is_the_trapezoidal_rule_in_the_signal() -> None:
    assert exponential_weights((-math.inf, END), -math.inf, END) == pytest.approx((0.5, 0.5))
    assert exponential_weights((-math.inf,), -math.inf, END) == pytest.approx((1.0,))


@pytest.mark.parametrize("rate", [1.0, -1.0, 2.0])
def test_midpoint_weights_sum_to_the_whole_and_tend_to_the_exact_ones(rate: float) -> None:
    for end in (START + 1e-3, START + 1e-4):
        near = midpoint_weights(-0.2, START, end, rate)
        exact = exponential_weights((START, -0.2), START, end, rate)
        assert sum(near) == pytest.approx(-math.expm1(-rate * (end - START)), rel=1e-12)
        assert near[1] == pytest.approx(exact[1], rel=2 * (end - START))
    assert midpoint_weights(-0.2, START, END, rate, size=3.0)[1] == pytest.approx(1.5 * (END - START) / (-0.2 - START))
    far = midpoint_weights(-math.inf, START, END, rate)
    assert far == pytest.approx(exponential_weights((START, -math.inf), START, END, rate))


@pytest.mark.parametrize("form", ["x0", "eps"])
def test_one_weight_is_the_first_order_step(form: str) -> None:
    start, end = SD.at(lam=-0.4), SD.at(lam=0.5)
    x, x0 = torch.tensor([[0.3, -2.0]], dtype=torch.float64), torch.tensor([[1.0, 0.4]], dtype=torch.float64)
    eps = (x - start.alpha * x0) / start.sigma
    rate, value = (1.0, x0) if form == "x0" else (-1.0, eps)
    weights = exponential_weights((start.lam,), start.lam, end.lam, rate)
    found = exponential_step(x, start, end, weights, [value, value], form)  # type: ignore[arg-type]
    assert torch.allclose(found, end.mix(x0, eps), rtol=1e-13)


def nodes(*lams: float) -> tuple[Node, ...]:
    return tuple(Node(Flow().at(lam=lam), torch.zeros(1)) for lam in lams)


def interval(start: float, end: float, remaining: int = 9) -> Interval:
    process = Flow()
    return Interval(process.at(lam=start), process.at(lam=end), 0, remaining, process)


@pytest.mark.parametrize(
    ("lams", "order"),
    [
        ((0.0, -0.5, -1.0), 3),
        ((0.0, -0.004, -1.0), 1),  # less than a hundredth of the step away
        ((0.0, -0.5, -0.504), 2),
        ((0.0, -0.5, -math.inf), 2),
        ((0.0, -math.inf), 1),
        ((-0.5, -1.0), 1),  # the start's own evaluation is not there
        ((), 1),
    ],
)
def test_crowded_and_infinite_nodes_lower_the_order(lams: tuple[float, ...], order: int) -> None:
    assert interval(0.0, 0.5).order(3, nodes(*lams)) == order


def test_the_evaluation_at_pure_noise_counts_where_the_method_says_so() -> None:
    history = nodes(0.0, -math.inf)
    assert interval(0.0, 0.5).order(3, history, from_noise=True) == 2
    assert interval(0.0, 0.5, remaining=1).order(3, history, from_noise=True) == 1
    assert interval(0.0, math.log(4.1)).order(3, history, from_noise=True) == 1  # too far
    assert interval(0.0, math.inf).order(3, history, from_noise=True) == 1
    assert interval(0.0, 0.5).order(3, nodes(0.0, -1.0, -math.inf), from_noise=True) == 2


def evaluation(x0: Tensor, point: Point) -> Denoised:
    return Denoised(point.alpha * x0 + point.sigma, point, torch.ones_like(x0), forms(Prediction.EPSILON, point))


def test_dynamic_thresholding_divides_by_each_samples_own_quantile() -> None:
    point = SD.at(lam=0.4)
    x0 = torch.stack([torch.linspace(-4, 4, 9), torch.linspace(-0.5, 0.5, 9)]).double()
    found = DynamicThreshold(quantile=0.5)(evaluation(x0, point))
    assert torch.allclose(found.x0[0], (x0[0].clamp(-2, 2)) / 2)
    assert torch.allclose(found.x0[1], x0[1])  # within bounds: s is 1 at least
    assert torch.allclose(found.x, point.mix(found.x0, found.eps))
    clipped = DynamicThreshold(quantile=0.5, maximum=1.0)(evaluation(x0, point))
    assert torch.allclose(clipped.x0, x0.clamp(-1, 1))


def test_weights_are_translation_invariant() -> None:
    shifted = [node + 5.0 for node in NODES]
    a = exponential_weights(NODES, START, END)
    b = exponential_weights(shifted, START + 5.0, END + 5.0)
    assert a == pytest.approx(b, rel=1e-10)
