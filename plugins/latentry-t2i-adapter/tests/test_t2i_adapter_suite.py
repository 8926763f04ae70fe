"""T2I-Adapters do what conditioners must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from support.controlnets import attending_first, write_t2i_adapter
from support.models import write_stable_diffusion
from support.models_sdxl import write_stable_diffusion_xl

from latentry.testing import ConditionerSuite, Pair


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
