"""Qwen-Image does what a model family must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from support.models_qwen_image import write_qwen_image

from latentry.testing import FamilySuite, GuidanceSuite, SigmaScheduleSuite


class TestFamily(FamilySuite):
    family = "qwen-image"

    @classmethod
    def models(cls, folder: Path) -> Mapping[str, Path]:
        return {kind: write_qwen_image(folder / kind, kind=kind) for kind in ("image", "edit-plus")}


class TestNormRestored(GuidanceSuite):
    method = "norm-restored"


class TestStretched(SigmaScheduleSuite):
    schedule = "stretched"
