"""FLUX.2 does what a model family must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from support.models_flux2 import Kind, write_flux2

from latentry.testing import FamilySuite


class TestFamily(FamilySuite):
    family = "flux2"

    @classmethod
    def models(cls, folder: Path) -> Mapping[str, Path]:
        kinds: tuple[Kind, ...] = ("dev", "klein-base-4b")
        return {kind: write_flux2(folder / kind, kind) for kind in kinds}
