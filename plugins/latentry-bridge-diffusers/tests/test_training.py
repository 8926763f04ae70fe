"""What training scripts call: noise for a batch, and what a v-prediction network learns, as DDPMScheduler has them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from latentry_bridge_diffusers import scheduler

BETAS: dict[str, dict[str, Any]] = {
    "stable diffusion": {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"},
    "linear": {"beta_schedule": "linear"},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "its own table": {"trained_betas": [0.0001 + 0.02 * (i / 999) ** 2 for i in range(1000)]},
    "zero terminal SNR": {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "rescale_betas_zero_snr": True,
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
    },
    "fewer timesteps": {"num_train_timesteps": 400, "beta_schedule": "scaled_linear"},
}
SHAPES = {
    "one for each row": ((3, 4, 6, 5), (3, 4, 6, 5), 3),
    "one for all rows": ((3, 4, 6, 5), (3, 4, 6, 5), 1),
    "one picture at several levels": ((1, 4, 6, 5), (3, 4, 6, 5), 3),
    "one noise at several levels": ((3, 4, 6, 5), (1, 4, 6, 5), 3),
    "tokens": ((2, 7, 16), (2, 7, 16), 2),
    "vectors": ((4, 9), (4, 9), 4),
}
METHODS = ("add_noise", "get_velocity")


def _drawn(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.slow
@pytest.mark.parametrize("betas", BETAS)
def test_the_table_is_the_peers(betas: str) -> None:
    peer = DDPMScheduler(**BETAS[betas])
    made = scheduler("unipc", peer)
    assert made.alphas_cumprod.dtype == peer.alphas_cumprod.dtype
    # rescaling to zero SNR subtracts nearly equal numbers at the end, which the peer does in float32
    rtol = 1e-4 if betas == "zero terminal SNR" else 2e-6
    assert torch.allclose(made.alphas_cumprod, peer.alphas_cumprod, rtol=rtol, atol=1e-9)
    assert len(made) == len(peer)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("betas", BETAS)
def test_training_sees_the_peers_samples(betas: str, shapes: str, method: str) -> None:
    peer = DDPMScheduler(**BETAS[betas])
    # Heun evaluates between its steps: a timestep drawn for training is never taken for one of those
    for name in ("unipc", "heun"):
        made = scheduler(name, peer)
        first, second, count = SHAPES[shapes]
        for seed in range(4):
            clean, noise = _drawn(first, seed), _drawn(second, seed + 100)
            timesteps = torch.randint(0, len(peer), (count,), generator=torch.Generator().manual_seed(seed))
            expected = getattr(peer, method)(clean, noise, timesteps)
            got = getattr(made, method)(clean, noise, timesteps)
            assert got.shape == expected.shape
            assert torch.allclose(got, expected, rtol=0.0, atol=1e-5), (got - expected).abs().max()


@pytest.mark.parametrize("method", METHODS)
def test_every_timestep_of_the_schedulers_own_list_is_the_peers_too(method: str) -> None:
    """Those of Heun's second evaluations are levels as well, and no run has begun."""
    peer = DDPMScheduler(**BETAS["stable diffusion"])
    made = scheduler("heun", peer, sigmas="trailing")
    made.set_timesteps(5)
    timesteps = made.timesteps.round().long().clamp(0, 999)
    clean, noise = _drawn((len(timesteps), 4, 3, 3), 1), _drawn((len(timesteps), 4, 3, 3), 2)
    expected = getattr(peer, method)(clean, noise, timesteps)
    assert torch.allclose(getattr(made, method)(clean, noise, timesteps), expected, rtol=0.0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("count", [1, 3])
def test_the_dtype_is_the_samples(method: str, dtype: torch.dtype, count: int) -> None:
    made = scheduler("ddim", DDPMScheduler())
    clean, noise = _drawn((3, 4, 2, 2), 1).to(dtype), _drawn((3, 4, 2, 2), 2).to(dtype)
    timesteps = torch.tensor([3, 500, 981])[:count]
    got = getattr(made, method)(clean, noise, timesteps)
    exact = getattr(made, method)(clean.double(), noise.double(), timesteps)
    assert got.dtype == dtype
    assert torch.allclose(got.double(), exact, rtol=torch.finfo(dtype).eps, atol=2 * torch.finfo(dtype).eps)


@pytest.mark.slow
@pytest.mark.parametrize("shift_type", ["exponential", "linear"])
@pytest.mark.parametrize("mu", [0.5, 1.15, 3.0])
def test_a_shift_from_the_size_is_the_stock_schedulers(shift_type: str, mu: float) -> None:
    stock = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, time_shift_type=shift_type)
    made, given = scheduler("euler", stock), [1.0, 0.8, 0.5, 0.25]
    for levels in (given, [1.0, 0.75, 0.5, 0.25]):
        made.set_timesteps(sigmas=levels, mu=mu)
        stock.set_timesteps(sigmas=levels, mu=mu)
        if levels is given:
            assert torch.allclose(made.timesteps, stock.timesteps, rtol=1e-5)
    on_its_grid = scheduler("euler", stock, sigmas="stock")
    on_its_grid.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25], mu=mu)
    assert torch.allclose(on_its_grid.timesteps, stock.timesteps, rtol=1e-5)
    clean, noise = _drawn((1, 4, 3, 3), 1), _drawn((1, 4, 3, 3), 2)
    for index in range(4):
        timestep = stock.timesteps[index : index + 1]
        expected = stock.scale_noise(clean, timestep, noise)
        assert torch.allclose(on_its_grid.scale_noise(clean, timestep, noise), expected, atol=1e-5)
