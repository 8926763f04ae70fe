"""What goes through a network in tiles is what goes through it whole, but for what lies across a seam."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from latentry import Flow, OptionError, Prediction
from latentry._bases._tiles import in_tiles
from latentry.models import BaseModel, Conditioning, LoadReport, NoiseSettings, PromptSettings

SIZES = [(8, 8), (24, 16), (40, 23), (9, 64), (33, 33)]


def drawn(height: int, width: int, channels: int = 2) -> Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(height * width))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("side", [8, 12, 16])
@pytest.mark.parametrize("larger", [1, 4])
def test_a_local_map_comes_out_whole(height: int, width: int, side: int, larger: int) -> None:
    def network(x: Tensor) -> Tensor:
        return interpolate(x.sin(), scale_factor=larger)

    x = drawn(height, width)
    torch.testing.assert_close(in_tiles(network, x, side), network(x))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 40), (16, 96)])
@pytest.mark.parametrize("side", [16, 24])
def test_a_smaller_result_comes_out_whole(height: int, width: int, side: int) -> None:
    x = drawn(height, width)
    torch.testing.assert_close(in_tiles(lambda x: avg_pool2d(x, 8), x, side), avg_pool2d(x, 8))


def test_seams_are_as_smooth_as_the_rest() -> None:
    """A network that sees the borders of its tile: what it makes of them has the least weight."""
    kernel = torch.full((1, 1, 5, 5), 1 / 25)
    x = torch.ones(1, 1, 64, 64)
    tiled = in_tiles(lambda x: conv2d(x, kernel, padding=2), x, 32)[0, 0]
    steps = (tiled[3:-3, 3:-3].diff(dim=0).abs().max(), tiled[3:-3, 3:-3].diff(dim=1).abs().max())
    plain = conv2d(torch.ones(1, 1, 32, 32), kernel, padding=2)[0, 0]
    assert max(steps) < 0.5 * float(plain.diff(dim=0).abs().max())


class Pooled(BaseModel):
    """An autoencoder without weights: means of 8 by 8 pixels."""

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        raise NotImplementedError

    def predict(
        self, x: Tensor, timestep: float | Tensor, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        raise NotImplementedError

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.tiled(self.seen, pixels)

    def decode(self, latents: Tensor) -> Tensor:
        return self.tiled(self.shown, latents, pixels=8)

    def seen(self, x: Tensor) -> Tensor:
        self.given.append(tuple(x.shape))
        return avg_pool2d(x, 8)

    def shown(self, x: Tensor) -> Tensor:
        self.given.append(tuple(x.shape))
        return interpolate(x, scale_factor=8)

    given: list[tuple[int, ...]]


class Opened:
    noise = NoiseSettings(Flow(), Prediction.FLOW)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        return 3, height // 8, width // 8


def pooled() -> Pooled:
    model = Pooled(Opened(), {"denoiser": nn.Linear(1, 1)}, LoadReport(2))
    model.given = []
    return model


def test_a_model_cuts_as_it_is_set() -> None:
    model, latents = pooled(), drawn(12, 9, channels=3)
    before = model.decode(latents)
    with model.set_tiling(32, slicing=True):
        model.given = []
        assert torch.allclose(model.decode(latents), before)
        assert set(model.given) == {(1, 3, 4, 4)}
        assert torch.allclose(model.encode(before), latents, atol=1e-6)
        assert set(model.given[-4:]) == {(1, 3, 32, 32)}
        with model.set_tiling(None):
            model.given = []
            assert torch.equal(model.decode(latents), before)
            assert model.given == [(2, 3, 12, 9)]
    model.given = []
    model.decode(latents)
    assert model.given == [(2, 3, 12, 9)]


@pytest.mark.parametrize("side", [4, 20])
def test_a_side_that_no_latent_has_is_refused(side: int) -> None:
    model = pooled()
    with model.set_tiling(side), pytest.raises(OptionError, match=f"Tiles of {side} pixels"):
        model.decode(drawn(12, 9, channels=3))
