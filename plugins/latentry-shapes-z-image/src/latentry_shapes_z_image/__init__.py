"""A small Z-Image for Latentry that draws coloured shapes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from latentry import CheckpointSpec, hookimpl


@hookimpl
def latentry_checkpoints() -> Iterable[CheckpointSpec]:
    """The trained model in this package."""
    yield CheckpointSpec(
        name="shapes-z-image",
        target="latentry_shapes_z_image:folder",
        summary="Coloured shapes, 64x64, by a small Z-Image.",
        family="latentry-z-image:z-image",
        variant="base",
        size=64,
        licence="Apache-2.0",
        guidance=3.0,
    )


def folder() -> Path:
    """The folder of the model, in diffusers' layout."""
    return Path(__file__).parent / "model"
