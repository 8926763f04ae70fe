"""What the plots of the schedulers' page are drawn from: diffusers' own schedulers, stepping by themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentry import Point, Prediction
from latentry.testing._networks._processes import process

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "scheduler_plots"))

from curves import least
from peers import finish_peer, makes

VARIANCE = 0.5
KINDS = ("vp", "flow", "edm")


def gaussian(x: Tensor, point: Point, prediction: Prediction) -> Tensor:
    """The exact output for data of that variance about 0."""
    a, s = point.alpha, point.sigma
    spread = a * a * VARIANCE + s * s
    x0, eps = x * (a * VARIANCE / spread), x * (s / spread)
    if prediction is Prediction.EPSILON:
        return eps
    if prediction is Prediction.FLOW:
        return eps - x0
    # EDM's network is asked through c_skip and c_out, with data of variance 0.25
    c_skip, c_out = 0.25 / (s * s + 0.25), s * 0.5 / (s * s + 0.25) ** 0.5
    return (x0 - c_skip * x) / c_out


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_peer_ends_where_the_exact_path_does(kind: str) -> None:
    on = process(kind)
    x = max(1.0, on.noisiest.sigma) * torch.randn(1, 64, generator=torch.Generator().manual_seed(5)).double()
    # of a Gaussian's path only the standard deviation changes
    spread = on.noisiest.alpha**2 * VARIANCE + on.noisiest.sigma**2
    exact = x * (VARIANCE / spread) ** 0.5
    for label, several in makes(kind, 1.0).items():
        for make in several:
            off = finish_peer(make(), 100, x, on, gaussian) - exact
            assert off.abs().max() < 0.05 * VARIANCE**0.5 * x.abs().max() / max(1.0, on.noisiest.sigma), (label, make)


def test_the_best_is_the_least_that_is_a_number() -> None:
    errors = iter((0.5, float("nan"), 0.2, float("inf")))
    assert least(lambda make, count: next(errors), [lambda: None] * 4, 8) == 0.2
