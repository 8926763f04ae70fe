"""A small Stable Diffusion for Latentry that predicts v and draws coloured shapes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from latentry import CheckpointSpec, hookimpl


@hookimpl
def latentry_checkpoints() -> Iterable[CheckpointSpec]:
    """The trained model in this package."""
    yield CheckpointSpec(
        name="shapes-v",
        target="latentry_shapes_v:folder",
        summary="Coloured shapes, 64x64: like shapes, trained to predict v.",
        moved_from=("latentry-shapes",),
        family="latentry-sd:sd",
        variant="sd21",
        size=64,
        licence="Apache-2.0",
        guidance=1.5,
    )


def folder() -> Path:
    """The folder of the model, in diffusers' layout."""
    return Path(__file__).parent / "model"
