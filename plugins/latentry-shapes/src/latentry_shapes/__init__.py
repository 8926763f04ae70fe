"""A small diffusion model that draws coloured shapes, and the tools that train and judge it and its relatives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from latentry import CheckpointSpec, hookimpl


@hookimpl
def latentry_checkpoints() -> Iterable[CheckpointSpec]:
    """The trained model in this package."""
    yield CheckpointSpec(
        name="shapes",
        target="latentry_shapes:folder",
        summary="One or two coloured shapes on a plain background, 64x64, trained on drawings.",
        family="latentry-sd:sd",
        variant="sd15",
        size=64,
        licence="Apache-2.0",
        guidance=1.5,
        default=True,
    )


def folder() -> Path:
    """The folder of the model, in diffusers' layout."""
    return Path(__file__).parent / "model"
