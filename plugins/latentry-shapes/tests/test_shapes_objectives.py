"""What a denoiser is trained on: every kind counts the same error in x₀ the same."""

from __future__ import annotations

import pytest
import torch

from latentry_shapes.networks import cumulative
from latentry_shapes.objectives import Kind, Levels, Objective

KINDS: tuple[Kind, ...] = ("epsilon", "v_prediction", "flow")


def levels(kind: Kind, share: float) -> Levels:
    """One noise level, the same signal-to-noise ratio for each kind."""
    alpha, sigma = torch.tensor(share), torch.tensor(1 - share)
    if kind != "flow":
        length = (alpha.square() + sigma.square()).sqrt()
        alpha, sigma = alpha / length, sigma / length
    return Levels(alpha.view(1, 1, 1, 1), sigma.view(1, 1, 1, 1), torch.zeros(1))


def say(kind: Kind, x: torch.Tensor, x0: torch.Tensor, at: Levels) -> torch.Tensor:
    """What a denoiser that believes in x₀ says of x."""
    noise = (x - at.alpha * x0) / at.sigma
    return Objective(kind, cumulative()).target(x0, noise, at)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_error_in_x0_costs_the_same_whatever_is_said(share: float) -> None:
    draws = torch.Generator().manual_seed(0)
    clean, noise, wrong = (torch.randn(1, 4, 8, 8, generator=draws, dtype=torch.float64) for _ in range(3))
    costs = []
    for kind in KINDS:
        at = levels(kind, share)
        x = at.alpha * clean + at.sigma * noise
        objective = Objective(kind, cumulative())
        right = objective.target(clean, noise, at)
        costs.append(float(objective.loss(say(kind, x, clean + wrong, at), right, at)))
    snr = (share / (1 - share)) ** 2
    expected = min(max(snr, 0.4), 5) * float(wrong.square().mean())
    assert costs == pytest.approx([expected] * len(KINDS), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_levels_belong_to_their_process(kind: Kind) -> None:
    drawn = Objective(kind, cumulative()).draw(4000, torch.Generator().manual_seed(0))
    assert drawn.times.min() >= 0
    assert drawn.times.max() <= 1000
    if kind == "flow":
        assert torch.allclose(drawn.alpha + drawn.sigma, torch.ones(()))
        assert torch.allclose(drawn.sigma.flatten() * 1000, drawn.times)
        assert float((drawn.times > 750).float().mean()) == pytest.approx(0.5, abs=0.03)
    else:
        assert torch.allclose(drawn.alpha.square() + drawn.sigma.square(), torch.ones(()))
        assert torch.allclose(drawn.alpha.flatten().square(), cumulative()[drawn.times])
        assert float((drawn.times >= 600).float().mean()) == pytest.approx(0.5 + 0.5 * 0.4, abs=0.03)
