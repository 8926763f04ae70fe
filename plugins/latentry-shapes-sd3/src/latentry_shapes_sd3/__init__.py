"""A small Stable Diffusion 3.5 for Latentry that draws coloured shapes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from latentry import CheckpointSpec, hookimpl


@hookimpl
def latentry_checkpoints() -> Iterable[CheckpointSpec]:
    """The trained model in this package."""
    yield CheckpointSpec(
        name="shapes-sd3",
        target="latentry_shapes_sd3:folder",
        summary="Coloured shapes, 64x64, by a small Stable Diffusion 3.5 with three text encoders.",
        moved_from=("latentry-shapes",),
        family="latentry-sd3:sd3",
        variant="sd35-medium",
        size=64,
        licence="Apache-2.0",
        guidance=2.0,
        measured_grids=True,
        plans="latentry_shapes_sd3:plans",
    )


def folder() -> Path:
    """The folder of the model, in diffusers' layout."""
    return Path(__file__).parent / "model"


def plans() -> Path:
    """The folder of its tuned plans, made by ``latentry tune``."""
    return Path(__file__).parent / "plans"
