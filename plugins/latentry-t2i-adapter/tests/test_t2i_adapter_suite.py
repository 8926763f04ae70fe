"""T2I-Adapters do what conditioners must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import diffusers
import pytest
import torch
from support.controlnets import attending_first, write_t2i_adapter
from support.models import write_stable_diffusion
from support.models_sdxl import write_stable_diffusion_xl

from latentry.testing import ConditionerSuite, Pair
from latentry_t2i_adapter.checkpoint import shape


class TestAdapter(ConditionerSuite):
    conditioner = "t2i-adapter"

    @classmethod
    def pairs(cls, folder: Path) -> Sequence[Pair]:
        sd = attending_first(write_stable_diffusion(folder / "sd"))
        xl = write_stable_diffusion_xl(folder / "sdxl")
        light = write_t2i_adapter(folder / "light", sd, adapter_type="light_adapter", in_channels=1)
        return [
            Pair(write_t2i_adapter(folder / "full", sd), sd),
            Pair(light, sd),
            Pair(light / "diffusion_pytorch_model.safetensors", sd),
            Pair(write_t2i_adapter(folder / "full-xl", xl, adapter_type="full_adapter_xl", downscale_factor=8), xl),
        ]


WIDTHS = [320, 640, 1280, 1280]
"""Of SD 1.5's UNet and, with the middle block's, of SDXL's."""
FILE, HEADER = 308_015_219, 20_000
"""The bytes of t2iadapter_canny_sd15v2.pth, four for each weight and a header."""


@pytest.mark.parametrize(
    ("kind", "factor", "inputs", "xl"),
    [("full_adapter", 8, 1, False), ("full_adapter_xl", 16, 3, True), ("light_adapter", 8, 3, False)],
)
def test_headers_of_the_published_size_say_what_they_are_of(kind: str, factor: int, inputs: int, xl: bool) -> None:
    widths, blocks = (WIDTHS[:3], 4) if kind == "light_adapter" else (WIDTHS, 2)
    built = {"in_channels": inputs, "num_res_blocks": blocks, "downscale_factor": factor, "adapter_type": kind}
    with torch.device("meta"):
        network = diffusers.T2IAdapter(channels=widths, **built)
    assert dict(shape(network.state_dict(), factor, xl=xl)) == built
    weights = sum(weight.numel() for weight in network.parameters())
    if kind == "full_adapter":
        assert 0 < FILE - 4 * weights < HEADER
    if kind == "full_adapter_xl":  # its authors count 79 million
        assert round(weights / 1e6) == 79
