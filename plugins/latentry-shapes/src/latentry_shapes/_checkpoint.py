"""Where the packaged models are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

MODELS = Path(__file__).parent / "models"
"""Folder of the models: diffusers folders, each named as its model is registered."""

shapes = partial(Path, MODELS, "shapes")
shapes_v = partial(Path, MODELS, "shapes-v")
shapes_inpainting = partial(Path, MODELS, "shapes-inpainting")
shapes_sdxl = partial(Path, MODELS, "shapes-sdxl")
shapes_flux = partial(Path, MODELS, "shapes-flux")
shapes_sd3 = partial(Path, MODELS, "shapes-sd3")


def packaged() -> Mapping[str, Path]:
    """The folders of all models, by registered name."""
    return {folder.name: folder for folder in sorted(MODELS.iterdir())}
