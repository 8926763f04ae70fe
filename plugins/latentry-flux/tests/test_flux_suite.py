"""FLUX.1 does what a model family must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from support.models_flux import Kind, write_flux

from latentry.testing import FamilySuite


class TestFamily(FamilySuite):
    family = "flux"

    @classmethod
    def models(cls, folder: Path) -> Mapping[str, Path]:
        kinds: tuple[Kind, ...] = ("dev", "schnell", "fill", "canny")
        return {kind: write_flux(folder / kind, kind) for kind in kinds}
