"""Stable Diffusion 3 does what a model family must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from support.models_sd3 import write_stable_diffusion_3

from latentry.testing import FamilySuite


class TestFamily(FamilySuite):
    family = "sd3"

    @classmethod
    def models(cls, folder: Path) -> Mapping[str, Path]:
        return {"sd35-medium": write_stable_diffusion_3(folder / "sd35-medium")}
