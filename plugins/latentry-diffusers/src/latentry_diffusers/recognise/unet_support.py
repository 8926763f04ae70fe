"""Tells which UNets of Stable Diffusion can be run, and why others cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.files.headers import Headers
from latentry_diffusers.recognise.unet_shape import UNetInFile

INPAINTING = "its 9 channels are the latents, the mask and the image around it"
CHANNELS = "only networks with 4 channels, or 9 for inpainting, are supported"
TAKES_SCALE = "the UNet takes the guidance scale as an input (time_cond_proj_dim), which is not supported"
SCALE = ("time_embedding.cond_proj.weight", "time_embed.cond_proj.weight")
EDM_MARKS = ("edm_mean", "edm_vpred.sigma_max")
"""Tensors of Playground 2.5 and of CosXL, whose noise process is EDM's."""


def why_not_file(seen: UNetInFile, tensors: Headers) -> str | None:
    """Why the UNet in a file cannot be run; None where it can."""
    if seen.shape.channels not in (4, 9):
        return CHANNELS
    if any(seen.prefix + name in tensors for name in SCALE):
        return TAKES_SCALE
    mark = next((name for name in EDM_MARKS if name in tensors), None)
    return None if mark is None else f"its noise process is EDM's, as the mark {mark} says, which is not supported"


def why_not_config(unet: Mapping[str, Any]) -> str | None:
    """Why the UNet with a configuration cannot be run; None where it can."""
    if unet.get("in_channels", 4) not in (4, 9):
        return CHANNELS
    return None if unet.get("time_cond_proj_dim") is None else TAKES_SCALE
