"""Stable Diffusion XL does what a model family must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from support.models_sdxl import write_stable_diffusion_xl

from latentry.testing import FamilySuite


class TestFamily(FamilySuite):
    family = "sdxl"

    @classmethod
    def models(cls, folder: Path) -> Mapping[str, Path]:
        kinds = ("base", "turbo", "inpainting", "refiner")
        return {kind: write_stable_diffusion_xl(folder / kind, kind) for kind in kinds}
