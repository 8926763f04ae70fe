"""Stable Diffusion does what a model family must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from support.models import write_stable_diffusion

from latentry.testing import FamilySuite


class TestFamily(FamilySuite):
    family = "sd"

    @classmethod
    def models(cls, folder: Path) -> Mapping[str, Path]:
        return {
            "sd15": write_stable_diffusion(folder / "sd15"),
            "sd15-inpainting": write_stable_diffusion(folder / "inpainting", inpainting=True),
        }
