"""Rows of float8 beside the 256 values that float8 has."""

from __future__ import annotations

import secrets

import pytest
import torch
from torch import Tensor, nn

from latentry_diffusers.files.float8 import Float8Rows, float8_rows, rounded_to_float8
from latentry_diffusers.loading.quantised import as_blocks, dequantised, is_quantised, with_quantised

CODES = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
FINITE = CODES[CODES.isfinite()].double()


def some(rows: int, columns: int) -> Tensor:
    """Rows of very different sizes, one of them 0."""
    generator = torch.Generator().manual_seed(secrets.randbelow(2**31))
    values = torch.randn(rows, columns, generator=generator)
    sizes = torch.logspace(-6, 3, rows)
    sizes[1] = 0
    return values * sizes[:, None]


def test_every_value_becomes_the_nearest_that_its_row_has() -> None:
    values = some(7, 40)
    packed = dequantised(rounded_to_float8(values)).double()
    for row, rounded in zip(values.double(), packed, strict=True):
        # the row's grid is float8's times a power of two, the least that holds its largest value
        scale = 1.0 if not row.any() else float(2 ** torch.ceil(torch.log2(row.abs().max() / 448)))
        nearest = (row[:, None] - FINITE * scale).abs().amin(1)
        assert torch.equal((row - rounded).abs(), nearest)


@pytest.mark.parametrize("rows", [True, False])
def test_stored_values_are_kept_to_the_bit(rows: bool) -> None:
    codes = torch.randint(0, 255, (5, 3, 8), dtype=torch.uint8)
    codes[codes == 127] = 0  # not a number, like 255
    values, scales = codes.view(torch.float8_e4m3fn), torch.rand(5 if rows else 1)
    expected = values.float().flatten(1) * scales[:, None]
    assert torch.equal(dequantised(float8_rows(values, scales)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_computes_what_it_would_with_the_values(dtype: torch.dtype) -> None:
    values, x = some(6, 36), torch.randn(2, 5, 4, 4)
    linear, conv = nn.Linear(36, 6, bias=False), nn.Conv2d(4, 6, 3, padding=1)
    network = nn.ModuleDict({"linear": linear, "conv": conv}).to(dtype).requires_grad_(False)
    bias = network["conv"].bias
    with_quantised(network, {"linear.weight": dtype, "conv.weight": dtype})
    packed = rounded_to_float8(values)
    for layer in network.values():
        layer.weight = as_blocks(packed)
    network["conv"].bias = bias
    rounded = dequantised(packed).to(dtype)
    given = torch.randn(3, 36).to(dtype)
    assert torch.equal(network["linear"](given), given @ rounded.T)
    image = x[:, :4].to(dtype)
    assert torch.equal(network["conv"](image), nn.functional.conv2d(image, rounded.view(6, 4, 3, 3), bias, padding=1))


def test_rows_stay_rows_where_their_network_goes() -> None:
    values = some(6, 36)
    network = nn.Sequential(nn.Linear(36, 6, bias=False)).requires_grad_(False)
    with_quantised(network, {"0.weight": torch.float32})
    network[0].weight = as_blocks(rounded_to_float8(values))
    network.to(torch.float64).to("cpu").requires_grad_(False).eval()
    for weight in (network[0].weight, network[0].weight.detach(), network[0].weight.clone()):
        assert isinstance(weight, Float8Rows)
        assert is_quantised(weight)
        assert torch.equal(dequantised(weight), dequantised(rounded_to_float8(values)))
    assert network[0].weight.numel() * network[0].weight.element_size() == 6 * (36 + 4)
