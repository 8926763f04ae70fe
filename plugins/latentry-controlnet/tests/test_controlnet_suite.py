"""ControlNets do what conditioners must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from support.controlnets import write_controlnet, write_flux_controlnet, write_sd3_controlnet
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl

from latentry.testing import ConditionerSuite, Pair


class TestControlNet(ConditionerSuite):
    conditioner = "controlnet"

    @classmethod
    def pairs(cls, folder: Path) -> Sequence[Pair]:
        sd, xl = write_stable_diffusion(folder / "sd"), write_stable_diffusion_xl(folder / "sdxl")
        sd3, flux = write_stable_diffusion_3(folder / "sd3"), write_flux(folder / "flux")
        return [
            Pair(write_controlnet(folder / "for-sd", sd), sd),
            Pair(write_controlnet(folder / "union-for-sdxl", xl, union=6), xl, {"mode": "depth"}),
            Pair(write_sd3_controlnet(folder / "for-sd3", sd3), sd3),
            Pair(write_flux_controlnet(folder / "union-for-flux", flux, num_mode=7), flux, {"mode": "canny"}),
        ]
