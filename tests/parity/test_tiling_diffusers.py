"""Pictures through the autoencoder in tiles, beside diffusers' ``enable_tiling``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from latentry import Engine, GenerationRequest, MemoryPolicy, PluginHost

pytestmark = pytest.mark.slow

SIDE = 32
PICTURE = Image.radial_gradient("L").convert("RGB")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost(load=("latentry", "latentry-sd", "latentry-ddim")), MemoryPolicy(vae_tiling=SIDE))


@pytest.fixture
def peer(tiny: Path) -> Any:
    """The same autoencoder; diffusers takes the side of its tiles from the configuration."""
    vae = AutoencoderKL.from_pretrained(tiny / "vae", sample_size=SIDE, local_files_only=True)
    vae.enable_tiling()
    return vae


def request(tiny: Path, size: tuple[int, int], **settings: Any) -> GenerationRequest:
    options = {"prompt": "a", "seed": 1, "steps": 1, "scheduler": "ddim", **settings}
    return GenerationRequest(model=str(tiny), width=size[0], height=size[1], **options)


@pytest.mark.parametrize("size", [(64, 64), (72, 104), (40, 136), (32, 40)])
@pytest.mark.parametrize("slicing", [False, True])
def test_tiles_are_decoded_as_there(
    engine: Engine, peer: Any, tiny: Path, size: tuple[int, int], slicing: bool
) -> None:
    """Also of sizes that are not a multiple of a tile."""
    found = engine.generate(request(tiny, size, count=2, vae_slicing=slicing))
    with torch.no_grad():
        expected = peer.decode(found.latents / peer.config.scaling_factor).sample
    theirs = ((expected.clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    for image, array in zip(found.images, theirs, strict=True):
        assert np.abs(np.asarray(image, np.float64) - array).max() <= 0.51  # rounded to whole numbers
    peer.disable_tiling()
    with torch.no_grad():
        whole = peer.decode(found.latents / peer.config.scaling_factor).sample
    assert float((whole - expected).abs().max()) > 0.01


@pytest.mark.parametrize("size", [(64, 64), (72, 104)])
def test_tiles_are_encoded_as_there(engine: Engine, peer: Any, tiny: Path, size: tuple[int, int]) -> None:
    picture = PICTURE.resize(size)
    setup = engine.prepare(request(tiny, size, strength=1.0), init_image=picture)
    model = engine.load(setup)
    pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None] / 127.5 - 1
    assert setup.memory.tile == SIDE
    with torch.no_grad(), model.set_tiling(setup.memory.tile):
        found = model.encode(pixels)
        expected = peer.encode(pixels).latent_dist.mode() * peer.config.scaling_factor
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(model.encode(pixels), expected, atol=1e-3)  # it goes through whole again
