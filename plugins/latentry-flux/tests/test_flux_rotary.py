"""Cached rotary tables: equal to diffusers', bit for bit, and computed once per size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_flux import FluxPosEmbed
from torch import Tensor

from latentry_diffusers.model.rotary import CAPACITY, Rotary, RotaryTables, Size
from latentry_flux.packing import positions, text_positions

CPU = torch.device("cpu")


class Counting(FluxPosEmbed):
    """diffusers' own; counts its calls."""

    def __init__(self) -> None:
        super().__init__(theta=10000, axes_dim=[4, 6, 6])
        self.calls = 0

    def forward(self, ids: Tensor) -> Any:
        self.calls += 1
        return super().forward(ids)


def ids(size: Size) -> Tensor:
    """What diffusers' pipeline gives."""
    return torch.cat([torch.zeros(size.tokens, 3), positions(size.height, size.width, CPU).float()])


@pytest.mark.parametrize("size", [Size(5, 4, 6, CPU), Size(5, 6, 4, CPU), Size(0, 2, 2, CPU), Size(7, 16, 2, CPU)])
def test_rows_become_the_table_again(size: Size) -> None:
    """Also of two sizes with as many tokens; and positions are still taken as such."""
    own = Counting()
    rotary = Rotary(own)
    expected = own(ids(size))
    found = rotary(torch.cat(RotaryTables(rotary, text_positions, positions)(size)))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(rotary(ids(size)), expected, strict=True))


def test_a_table_is_made_once_and_the_oldest_is_let_go() -> None:
    own = Counting()
    tables = RotaryTables(Rotary(own), text_positions, positions)
    sizes = [Size(3, 2, 2 * width, CPU) for width in range(1, CAPACITY + 2)]
    for size in sizes * 2:
        for _ in range(2):
            tables(size)
    assert own.calls == 2 * len(sizes)
    tables(sizes[-1])
    assert own.calls == 2 * len(sizes)


def test_tables_made_in_inference_mode_serve_autograd() -> None:
    tables = RotaryTables(Rotary(Counting()), text_positions, positions)
    with torch.inference_mode():
        rows = tables(Size(3, 2, 2, CPU))
    assert not any(each.is_inference() or each.requires_grad for each in rows)
