"""The oracles are right: against derivatives, integrals and each other."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from latentry import EDM, Flow, Point, Prediction, Process, VariancePreserving
from latentry._numerics._processes._prediction import forms
from latentry.testing import GaussianOracle, GuidedOracle, MixtureOracle, Oracle, SpectrumOracle
from latentry.testing._networks._processes import graded

PROCESSES = [VariancePreserving.from_betas(), Flow(), EDM()]
X = torch.tensor([[0.4, -1.1], [2.0, 0.3]], dtype=torch.float64)


def ends(process: Process) -> tuple[Point, Point]:
    return process.noisiest, process.clean()


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
def test_the_gaussian_path_solves_the_probability_flow(process: Process) -> None:
    oracle = GaussianOracle(0.3, torch.tensor([0.25, 2.0]))
    start, end = ends(process)
    integrated = Oracle.path(oracle, X * start.sigma, start, end)
    torch.testing.assert_close(oracle.path(X * start.sigma, start, end), integrated, rtol=1e-11, atol=1e-11)


def test_the_mixtures_answer_is_its_score() -> None:
    """Tweedie: α·E[x₀|x] = x + σ²·∇ log p(x), with p written out as a sum of normal densities."""
    oracle, level = MixtureOracle(weights=(1.0, 2.0, 0.5)), Flow().at(s=0.9)
    x = X.clone().requires_grad_()
    spread = level.alpha**2 * oracle.variance + level.sigma**2
    squares = (x[:, None] - level.alpha * oracle.means).square().sum(-1)
    (oracle.weights * (-squares / (2 * spread)).exp()).sum(-1).log().sum().backward()
    assert x.grad is not None
    x0, eps = oracle.predict(X, level)
    torch.testing.assert_close(level.alpha * x0, X + level.sigma**2 * x.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(eps, -level.sigma * x.grad, rtol=1e-12, atol=1e-12)


def test_a_mixture_of_one_is_a_gaussian() -> None:
    mean = torch.tensor([0.5, -0.2], dtype=torch.float64)
    one, gaussian = MixtureOracle(means=((0.5, -0.2),), variance=0.3), GaussianOracle(mean, 0.3)
    start, end = EDM().at(s=5.0), EDM().at(s=0.01)
    torch.testing.assert_close(one.path(5 * X, start, end), gaussian.path(5 * X, start, end), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("prediction", list(Prediction))
def test_outputs_mean_what_the_core_takes_them_for(process: Process, prediction: Prediction) -> None:
    oracle, level = MixtureOracle(), process.at(s=1.7)
    x0, eps = oracle.predict(X, level)
    output, form = oracle.output(X, level, prediction), forms(prediction, level)
    torch.testing.assert_close(form.x0_x * X + form.x0_out * output, x0, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(form.eps_x * X + form.eps_out * output, eps, rtol=1e-12, atol=1e-12)


def test_guidance_of_1_is_the_prompt_alone() -> None:
    asked, free, level = MixtureOracle(means=((1.0, 0.4),)), MixtureOracle(), Flow().at(s=1.0)
    guided = GuidedOracle(asked, free, 1.0).predict(X, level)
    torch.testing.assert_close(guided, asked.predict(X, level))
    x0, more = asked.predict(X, level)[0], GuidedOracle(asked, free, 3.0).predict(X, level)[0]
    torch.testing.assert_close(more - x0, 2.0 * (x0 - free.predict(X, level)[0]))


def test_the_spectrum_falls_with_the_square() -> None:
    variance = SpectrumOracle(256, variance=1.5).variance
    assert float(variance.mean()) == pytest.approx(1.5)
    assert float(variance[0] / variance[9]) == pytest.approx(100.0)


@pytest.mark.parametrize(("steps", "order"), list(itertools.product((10, 80), (1, 2, 3, 4))))
def test_a_graded_grid_is_fine_at_its_ends_and_even_inside(steps: int, order: int) -> None:
    places = graded(steps, order, span=math.log(4.0))
    lengths = [b - a for a, b in itertools.pairwise(places)]
    assert places[0] == 0.0
    assert places[-1] == pytest.approx(1.0)
    assert lengths[0] / max(lengths) == pytest.approx((math.log(4.0) / steps) ** ((order - 1) / 2))
    assert all(0.49 < b / a < 2.01 for a, b in itertools.pairwise(lengths))
