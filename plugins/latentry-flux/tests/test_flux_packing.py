"""Latents to tokens and back."""

from __future__ import annotations

import pytest
import torch

from latentry_flux.packing import pack, positions, unpack

CPU = torch.device("cpu")


@pytest.mark.parametrize(("height", "width"), [(2, 2), (4, 6), (8, 2)])
def test_unpacking_undoes_packing(height: int, width: int) -> None:
    latents = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    tokens = pack(latents)
    assert tokens.shape == (2, height * width // 4, 12)
    assert torch.equal(unpack(tokens, height, width), latents)


def test_a_token_is_a_square_channel_by_channel_row_by_row() -> None:
    channel, row, column = torch.meshgrid(torch.arange(3), torch.arange(4), torch.arange(6), indexing="ij")
    latents = (100 * channel + 10 * row + column)[None].float()
    tokens = pack(latents)[0]
    at = {tuple(place): token for place, token in zip(positions(4, 6, CPU).tolist(), tokens.tolist(), strict=True)}
    assert at[0, 0, 0] == [0, 1, 10, 11, 100, 101, 110, 111, 200, 201, 210, 211]
    assert at[0, 1, 2] == [24, 25, 34, 35, 124, 125, 134, 135, 224, 225, 234, 235]


def test_positions_run_row_by_row() -> None:
    assert positions(4, 6, CPU).tolist() == [[0, row, column] for row in range(2) for column in range(3)]
