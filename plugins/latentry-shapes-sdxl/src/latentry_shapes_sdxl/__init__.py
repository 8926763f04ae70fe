"""A small Stable Diffusion XL for Latentry that draws coloured shapes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from latentry import CheckpointSpec, hookimpl


@hookimpl
def latentry_checkpoints() -> Iterable[CheckpointSpec]:
    """The trained model in this package."""
    yield CheckpointSpec(
        name="shapes-sdxl",
        target="latentry_shapes_sdxl:folder",
        summary="Coloured shapes, 64x64, by a small Stable Diffusion XL with two text encoders.",
        moved_from=("latentry-shapes",),
        family="latentry-sdxl:sdxl",
        variant="base",
        size=64,
        licence="Apache-2.0",
        guidance=1.5,
        plans="latentry_shapes_sdxl:plans",
    )


def folder() -> Path:
    """The folder of the model, in diffusers' layout."""
    return Path(__file__).parent / "model"


def plans() -> Path:
    """The folder of its tuned plans, made by ``latentry tune``."""
    return Path(__file__).parent / "plans"
