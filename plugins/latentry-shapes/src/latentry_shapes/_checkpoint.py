"""Where the packaged models lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def _folder(name: str) -> Path:
    return Path(__file__).parent / "models" / name


def shapes() -> Path:
    """The diffusers folder of the model that predicts noise."""
    return _folder("shapes")


def shapes_v() -> Path:
    """The diffusers folder of the model that predicts v."""
    return _folder("shapes-v")


def shapes_inpainting() -> Path:
    """The diffusers folder of the model that is also shown a mask and the picture around it."""
    return _folder("shapes-inpainting")


def shapes_sdxl() -> Path:
    """The diffusers folder of the Stable Diffusion XL."""
    return _folder("shapes-sdxl")


def shapes_flux() -> Path:
    """The diffusers folder of the FLUX.1 dev."""
    return _folder("shapes-flux")


def shapes_sd3() -> Path:
    """The diffusers folder of the Stable Diffusion 3.5."""
    return _folder("shapes-sd3")


def packaged() -> Mapping[str, Path]:
    """The folders of all models, by the name they are registered under."""
    return {
        "shapes": shapes(),
        "shapes-v": shapes_v(),
        "shapes-inpainting": shapes_inpainting(),
        "shapes-sdxl": shapes_sdxl(),
        "shapes-flux": shapes_flux(),
        "shapes-sd3": shapes_sd3(),
    }
