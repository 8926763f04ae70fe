"""The families that there are, each with a tiny model of random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_flux2 import write_flux2
from support.models_qwen_image import write_qwen_image
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from support.models_z_image import write_z_image


@dataclass(frozen=True)
class Tiny:
    """How a family's model is made: pictures of 64 × 64 pixels, 4 to a latent's side.

    Attributes:
        write: its folder.
        channels: of its latents.
    """

    write: Callable[[Path], Path]
    channels: int


TINY: Mapping[str, Tiny] = MappingProxyType(
    {
        "latentry-sd:sd": Tiny(write_stable_diffusion, 4),
        "latentry-sdxl:sdxl": Tiny(write_stable_diffusion_xl, 4),
        "latentry-sd3:sd3": Tiny(write_stable_diffusion_3, 16),
        "latentry-flux:flux": Tiny(write_flux, 16),
        "latentry-flux2:flux2": Tiny(write_flux2, 32),
        "latentry-qwen-image:qwen-image": Tiny(write_qwen_image, 8),
        "latentry-z-image:z-image": Tiny(partial(write_z_image, kind="base"), 16),
    }
)
