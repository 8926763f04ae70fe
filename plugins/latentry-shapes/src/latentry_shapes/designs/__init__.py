"""The models that can be trained, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from latentry_shapes.designs._design import Design, adopt
from latentry_shapes.designs.flux import Flux
from latentry_shapes.designs.sd import StableDiffusion
from latentry_shapes.designs.sd3 import StableDiffusion3
from latentry_shapes.designs.sdxl import StableDiffusionXL
from latentry_shapes.designs.z_image import ZImage

DESIGNS: Mapping[str, Design] = MappingProxyType(
    {
        "shapes": StableDiffusion(),
        "shapes-v": StableDiffusion("v_prediction", starts_from="shapes"),
        "shapes-inpainting": StableDiffusion(masked=True, starts_from="shapes"),
        "shapes-sdxl": StableDiffusionXL(),
        "shapes-sd3": StableDiffusion3(),
        "shapes-flux-base": Flux(),
        "shapes-flux": Flux(starts_from="shapes-flux-base"),
        "shapes-z-image": ZImage(),
    }
)

__all__ = ["DESIGNS", "Design", "Flux", "StableDiffusion", "adopt"]
