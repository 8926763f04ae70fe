"""Attention that is changed in some blocks: where the blocks are, and what a blur is."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import IncompatibleError, OptionError
from latentry.models import AttentionChange
from latentry_diffusers.attention import AttentionBlocks
from latentry_diffusers.attention._change import blurred, tokens_of


def by_definition(picture: Tensor, deviation: float) -> Tensor:
    """A Gaussian over the reflected picture, pixel by pixel."""
    half = math.ceil(6 * deviation) // 2
    rows, columns = picture.shape[-2:]
    result = torch.zeros_like(picture)

    def mirrored(place: int, side: int) -> int:
        return side - 1 - abs(side - 1 - abs(place))

    for row in range(rows):
        for column in range(columns):
            total = 0.0
            for i in range(-min(half, rows // 2), min(half, rows // 2) + 1):
                for j in range(-min(half, columns // 2), min(half, columns // 2) + 1):
                    weight = math.exp(-0.5 * (i * i + j * j) / deviation**2)
                    result[..., row, column] += (
                        weight * picture[..., mirrored(row + i, rows), mirrored(column + j, columns)]
                    )
                    total += weight
            result[..., row, column] /= total
    return result


@pytest.mark.parametrize("shape", [(6, 6), (5, 8), (1, 4), (7, 3)])
@pytest.mark.parametrize("deviation", [0.4, 1.0, 5.0])
def test_a_blur_is_a_gaussian_reflected_at_the_edges(shape: tuple[int, int], deviation: float) -> None:
    picture = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.allclose(blurred(picture, deviation), by_definition(picture, deviation), atol=1e-6)


def test_an_endless_blur_is_the_mean_and_none_is_nothing() -> None:
    picture = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(2))
    assert torch.equal(blurred(picture, math.inf), picture.mean((2, 3), keepdim=True).expand_as(picture))
    assert torch.allclose(blurred(picture, 0.05), picture)


@pytest.mark.parametrize(
    ("size", "levels"),
    [((64, 64), [(64, 64), (32, 32), (16, 16), (8, 8)]), ((9, 20), [(9, 20), (5, 10), (3, 5), (2, 3)])],
)
def test_levels_are_found_by_their_tokens(size: tuple[int, int], levels: list[tuple[int, int]]) -> None:
    assert [tokens_of(size, rows * columns) for rows, columns in levels] == levels
    with pytest.raises(ValueError, match="are not a level of"):
        tokens_of(size, levels[1][0] * levels[1][1] + 1)


def unet(**config: Any) -> Any:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel(
            block_out_channels=(32, 64), cross_attention_dim=32, attention_head_dim=8, norm_num_groups=8, **config
        )


TYPES = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}


@pytest.mark.parametrize("depth", [1, (1, 2), (3, 2)])
@pytest.mark.parametrize("layers", [1, 2])
def test_blocks_of_a_unet_are_counted_from_its_configuration(layers: int, depth: Any) -> None:
    from types import SimpleNamespace

    from latentry_diffusers.model.unet_checkpoint import UNetCheckpoint

    network = unet(layers_per_block=layers, transformer_layers_per_block=depth, **TYPES)
    blocks = AttentionBlocks(network)
    bundle: Any = SimpleNamespace(config=lambda part: network.config)
    noise: Any = None
    assert UNetCheckpoint(bundle, "any", noise).attention_blocks == len(blocks)
    deep = depth if isinstance(depth, int) else depth[-1]
    first = layers * (depth if isinstance(depth, int) else depth[0])
    assert list(blocks.middle) == list(range(first, first + deep))


def test_what_cannot_be_changed_is_refused() -> None:
    blocks = AttentionBlocks(unet(layers_per_block=1, **TYPES))
    with pytest.raises(IncompatibleError, match="compute it natively"):
        blocks.changes(AttentionChange(), (8, 8))
    with pytest.raises(OptionError, match="no attention block 9"):
        blocks.changes(AttentionChange((0, 9)), (8, 8))
