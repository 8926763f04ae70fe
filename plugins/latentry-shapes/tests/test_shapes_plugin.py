"""The shipped model is complete and matches its record; the tools find it and its relatives."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.shipped_model import ShippedModel

import latentry_shapes
from latentry_shapes._shipped import folder_of, qualified


class TestShippedModel(ShippedModel):
    module = latentry_shapes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("shapes", "latentry-shapes:shapes"),
        ("shapes-inpainting", "latentry-shapes-inpainting:shapes-inpainting"),
        ("latentry-shapes:shapes-inpainting", "latentry-shapes-inpainting:shapes-inpainting"),
        ("circles", None),
        ("some/folder", None),
        ("", None),
    ],
)
def test_the_tools_find_the_installed_models(model: str, name: str | None) -> None:
    assert qualified(model) == name
    assert folder_of(model) == Path(model) if name is None else (folder_of(model) / "model_index.json").is_file()
