"""Z-Image does what a model family must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from support.models_z_image import write_z_image

from latentry.testing import FamilySuite, GuidanceSuite


class TestFamily(FamilySuite):
    family = "z-image"

    @classmethod
    def models(cls, folder: Path) -> Mapping[str, Path]:
        return {"turbo": write_z_image(folder / "turbo", "turbo"), "base": write_z_image(folder / "base", "base")}


class TestNormLimited(GuidanceSuite):
    method = "norm-limited"
