"""Pictures to latents and back, whole and in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from support.parts import autoencoder
from torch import Tensor

from latentry import OptionError
from latentry_diffusers.loading.dtypes import upcast
from latentry_diffusers.model.autoencoder import Autoencoder

MEAN, STD = [0.1, -0.2, 0.3, 0.4], [2.0, 3.0, 4.0, 5.0]


def made(**config: Any) -> Autoencoder:
    torch.manual_seed(0)
    settings = {"latent_channels": 4, "use_quant_conv": True, "use_post_quant_conv": True}
    return Autoencoder(autoencoder(**settings, **config).eval())


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@contextmanager
def watching(part: torch.nn.Module) -> Iterator[list[tuple[int, ...]]]:
    """Shapes that go into a part."""
    shapes: list[tuple[int, ...]] = []
    handle = part.register_forward_pre_hook(lambda module, given: shapes.append(tuple(given[0].shape)))
    try:
        yield shapes
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("config", "shift", "scale"),
    [
        ({"scaling_factor": 0.13025}, 0.0, 0.13025),
        ({"scaling_factor": 1.5305, "shift_factor": 0.0609}, 0.0609, 1.5305),
        (
            {"scaling_factor": 0.5, "latents_mean": MEAN, "latents_std": STD},
            torch.tensor(MEAN).view(1, 4, 1, 1),
            0.5 / torch.tensor(STD).view(1, 4, 1, 1),
        ),
    ],
    ids=["scaled", "shifted", "by channel"],
)
def test_latents_are_in_the_units_of_the_configuration(config: dict[str, Any], shift: Any, scale: Any) -> None:
    vae, pixels = made(**config), draw(2, 3, 64, 48)
    with torch.no_grad():
        posterior = vae.network.encode(pixels).latent_dist
        again = vae.network.decode(posterior.mean).sample
    z = vae.encode(pixels)
    assert torch.allclose(z, (posterior.mean - shift) * scale, rtol=1e-6)
    assert torch.allclose(vae.decode(z), again, rtol=1e-4, atol=1e-5)


def test_noise_makes_a_sample_of_the_posterior() -> None:
    vae, pixels, noise = made(scaling_factor=0.5), draw(1, 3, 64, 64), draw(1, 4, 16, 16, seed=1)
    with torch.no_grad():
        posterior = vae.network.encode(pixels).latent_dist
    expected = (posterior.mean + torch.exp(0.5 * posterior.logvar) * noise) * 0.5
    assert torch.allclose(vae.encode(pixels, noise), expected, rtol=1e-6)
    assert not torch.allclose(vae.encode(pixels, noise), vae.encode(pixels))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_network_runs_in_its_own_dtype_and_the_results_are_float32(dtype: torch.dtype) -> None:
    vae = made()
    exact = vae.encode(draw(1, 3, 64, 64))
    vae.network.to(dtype)
    z = vae.encode(draw(1, 3, 64, 64), torch.zeros(1, 4, 16, 16))
    assert z.dtype == vae.decode(z).dtype == torch.float32
    assert torch.allclose(z, exact, atol=0.1)


@pytest.mark.parametrize(
    ("config", "dtype", "expected"),
    [
        ({}, torch.float16, torch.float32),
        ({"force_upcast": False}, torch.float16, torch.float16),
        ({"force_upcast": True}, torch.bfloat16, torch.bfloat16),
        ({"force_upcast": True}, torch.float32, torch.float32),
    ],
)
def test_only_float16_is_left_and_only_where_it_must_be(
    config: dict[str, Any], dtype: torch.dtype, expected: torch.dtype
) -> None:
    assert upcast(config, dtype) == expected


def test_large_pictures_go_through_in_tiles() -> None:
    vae, pixels = made(), draw(1, 3, 160, 96)
    whole = vae.decode(vae.encode(pixels))
    vae.tile(64)
    with watching(vae.network.encoder) as coded:
        z = vae.encode(pixels)
    with watching(vae.network.decoder) as decoded:
        tiled = vae.decode(z)
    assert z.shape == (1, 4, 40, 24)
    assert tiled.shape == whole.shape
    assert max(side for shape in coded for side in shape[2:]) == 64
    assert max(side for shape in decoded for side in shape[2:]) == 16
    assert not torch.equal(tiled, whole)
    vae.tile(None)
    assert torch.equal(vae.decode(vae.encode(pixels)), whole)


def test_what_fits_a_tile_goes_through_whole() -> None:
    vae, pixels = made(), draw(1, 3, 64, 64)
    whole = vae.decode(vae.encode(pixels))
    vae.tile(64)
    assert torch.equal(vae.decode(vae.encode(pixels)), whole)


def test_tiles_come_together_where_they_belong() -> None:
    """Through networks that see a single latent at a time, tiles and the whole are the same."""
    vae, pixels = made(), draw(1, 3, 160, 224)
    vae.network.encoder = torch.nn.Conv2d(3, 8, kernel_size=4, stride=4)
    vae.network.decoder = torch.nn.ConvTranspose2d(4, 3, kernel_size=4, stride=4)
    latents = vae.encode(pixels)
    picture = vae.decode(latents)
    vae.tile(64)
    assert torch.allclose(vae.encode(pixels), latents, atol=1e-6)
    assert torch.allclose(vae.decode(latents), picture, atol=1e-6)


@pytest.mark.parametrize("side", [0, 8, 40, -64])
def test_tiles_that_cannot_be_are_refused(side: int) -> None:
    with pytest.raises(OptionError, match=f"Tiles cannot be {side} pixels wide"):
        made().tile(side)


def test_slicing_takes_one_picture_after_another() -> None:
    vae, pixels = made(), draw(3, 3, 64, 64)
    together = vae.decode(vae.encode(pixels))
    vae.slice(True)
    with watching(vae.network.encoder) as coded, watching(vae.network.decoder) as decoded:
        sliced = vae.decode(vae.encode(pixels))
    assert [shape[0] for shape in coded + decoded] == [1] * 6
    assert torch.allclose(sliced, together, atol=1e-4)
    vae.slice(False)
    assert torch.equal(vae.decode(vae.encode(pixels)), together)


@pytest.mark.parametrize("before", [None, 96])
def test_tiles_for_a_while_leave_the_network_as_it_was(before: int | None) -> None:
    vae, pixels = made(), draw(2, 3, 160, 96)
    vae.tile(before)
    expected, state = vae.encode(pixels), dict(vars(vae.network))
    with pytest.raises(InterruptedError), vae.tiled(64, slicing=True):
        with watching(vae.network.encoder) as coded:
            assert not torch.equal(vae.encode(pixels), expected)
        assert {shape[0] for shape in coded} == {1}
        assert max(side for shape in coded for side in shape[2:]) == 64
        raise InterruptedError
    assert vars(vae.network) == state
    assert torch.equal(vae.encode(pixels), expected)
