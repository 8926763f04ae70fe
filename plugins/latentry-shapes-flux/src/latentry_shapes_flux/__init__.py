"""A small FLUX.1 dev for Latentry that draws coloured shapes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from latentry import CheckpointSpec, ControlSpec, hookimpl


@hookimpl
def latentry_checkpoints() -> Iterable[CheckpointSpec]:
    """The trained model in this package."""
    yield CheckpointSpec(
        name="shapes-flux",
        target="latentry_shapes_flux:folder",
        summary="Coloured shapes, 64x64, by a small FLUX.1 dev that takes the guidance scale as an input.",
        moved_from=("latentry-shapes",),
        family="latentry-flux:flux",
        variant="dev",
        size=64,
        licence="Apache-2.0",
        guidance=3.0,
        measured_grids=True,
        plans="latentry_shapes_flux:plans",
    )


@hookimpl
def latentry_controls() -> Iterable[ControlSpec]:
    """The trained ControlNet in this package."""
    yield ControlSpec(
        name="shapes-flux-control",
        target="latentry_shapes_flux:control_folder",
        summary="Draws along outlines, white on black, with the model 'shapes-flux'.",
        conditioner="latentry-controlnet:controlnet",
        model="latentry-shapes-flux:shapes-flux",
        licence="Apache-2.0",
    )


def control_folder() -> Path:
    """The folder of the ControlNet, in diffusers' layout."""
    return Path(__file__).parent / "control"


def folder() -> Path:
    """The folder of the model, in diffusers' layout."""
    return Path(__file__).parent / "model"


def plans() -> Path:
    """The folder of its tuned plans, made by ``latentry tune``."""
    return Path(__file__).parent / "plans"
