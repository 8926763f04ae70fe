"""``gradient-estimation`` against smalldiffusion, the sampler of the paper's author.

Its dependencies are many, of which its sampler needs none: ``pip install --no-deps -r requirements-peers.txt``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from support.oracles import noise
from torch import Tensor, nn

from latentry import EDM, Flow, Plan, Prediction, Process, VariancePreserving
from latentry.testing import MixtureOracle, drive
from latentry_gradient_estimation import GradientEstimation

FOUND = find_spec("smalldiffusion")
if FOUND is None:
    pytest.skip("not installed: smalldiffusion", allow_module_level=True)

DATA = MixtureOracle()
LEVELS = (14.6, 8.0, 4.0, 2.0, 1.0, 0.5, 0.2, 0.05)
PROCESSES: list[Process] = [VariancePreserving.from_betas(), Flow(), EDM()]


@pytest.fixture
def diffusion(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``smalldiffusion.diffusion`` without its package, which imports much more."""
    package, accelerate = ModuleType("smalldiffusion"), ModuleType("accelerate")
    assert FOUND is not None
    package.__path__ = list(FOUND.submodule_search_locations or ())
    accelerate.Accelerator = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "smalldiffusion", package)
    monkeypatch.setitem(sys.modules, "accelerate", accelerate)
    yield import_module("smalldiffusion.diffusion")
    sys.modules.pop("smalldiffusion.diffusion")


class Exact(nn.Module):
    """The mixture's network, as their sampler asks for it."""

    def predict_eps_cfg(self, x: Tensor, sigma: Tensor, cond: None, scale: float) -> Tensor:
        return DATA.predict(x, EDM().at(s=float(sigma)))[1]

    def rand_input(self, batch: int) -> Tensor:
        return torch.zeros(batch, 2, dtype=torch.float64)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 2.7])
@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
def test_it_is_the_authors_sampler(diffusion: Any, process: Process, gamma: float) -> None:
    """Every sample on the way, of x/α, on levels above σ = 0, where theirs ends."""
    x = noise(32, 2) * LEVELS[0]
    sigmas = torch.tensor(LEVELS, dtype=torch.float64)
    expected = list(diffusion.samples(Exact(), sigmas, gam=gamma, xt=x, accelerator=SimpleNamespace(device="cpu")))
    assert len(expected) == len(LEVELS) - 1
    for count, theirs in enumerate(expected, 2):
        points = tuple(process.at(s=s) for s in LEVELS[:count])
        plan = Plan(GradientEstimation(guard=False, gamma=gamma), process, Prediction.V, points)
        ours = drive(plan, x * points[0].alpha, DATA.answer) / points[-1].alpha
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
