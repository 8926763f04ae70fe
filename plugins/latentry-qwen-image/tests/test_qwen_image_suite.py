"""Qwen-Image does what a model family must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import QwenImageTransformer2DModel
from support.models_qwen_image import write_qwen_image

from latentry import ModelFiles
from latentry.testing import FamilySuite, GuidanceSuite, SigmaScheduleSuite
from latentry_qwen_image.checkpoint import open_checkpoint

KNOWN = signature(QwenImageTransformer2DModel).parameters
TWICE: dict[str, Any] = {"zero_cond_t": True} if "zero_cond_t" in KNOWN else {}
"""Edition 2511: the layers that modulate see each row twice. Old versions of diffusers do not know it."""


class TestFamily(FamilySuite):
    family = "qwen-image"

    @classmethod
    def models(cls, folder: Path) -> Mapping[str, Path]:
        kinds: Mapping[str, Mapping[str, Any]] = {"image": {}, "edit-plus": TWICE}
        return {kind: write_qwen_image(folder / kind, kind=kind, **own) for kind, own in kinds.items()}


class TestNormRestored(GuidanceSuite):
    method = "norm-restored"


class TestStretched(SigmaScheduleSuite):
    schedule = "stretched"


@pytest.mark.skipif(not TWICE, reason="this diffusers has no zero_cond_t")
def test_rows_have_lora_weights_of_their_own_unless_layers_see_each_row_twice(tmp_path: Path) -> None:
    for own in ({}, TWICE):
        path = write_qwen_image(tmp_path / f"model{len(own)}", kind="edit-plus", **own)
        model: Any = open_checkpoint(ModelFiles(path), "edit-plus").load(torch.device("cpu"), torch.float32)
        assert model.rows_of_lora_weights is (not own)
