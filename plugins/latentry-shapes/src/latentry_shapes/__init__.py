"""A small diffusion model that draws coloured shapes, and the tools that train and judge it and its relatives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from latentry import CheckpointSpec, ControlSpec, hookimpl


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
        plans="latentry_shapes:plans",
        default=True,
    )


@hookimpl
def latentry_controls() -> Iterable[ControlSpec]:
    """The trained ControlNet and the trained adapter in this package."""
    yield ControlSpec(
        name="shapes-control",
        target="latentry_shapes:control_folder",
        summary="Draws along outlines, white on black, with the model 'shapes'.",
        conditioner="latentry-controlnet:controlnet",
        model="latentry-shapes:shapes",
        licence="Apache-2.0",
    )
    yield ControlSpec(
        name="shapes-adapter",
        target="latentry_shapes:adapter_folder",
        summary="Draws along outlines like 'shapes-control', at less than half its size; evaluated once.",
        conditioner="latentry-t2i-adapter:t2i-adapter",
        model="latentry-shapes:shapes",
        licence="Apache-2.0",
    )


def adapter_folder() -> Path:
    """The folder of the T2I-Adapter, in diffusers' layout."""
    return Path(__file__).parent / "adapter"


def control_folder() -> Path:
    """The folder of the ControlNet, in diffusers' layout."""
    return Path(__file__).parent / "control"


def folder() -> Path:
    """The folder of the model, in diffusers' layout."""
    return Path(__file__).parent / "model"


def plans() -> Path:
    """The folder of its tuned plans, made by ``latentry tune``."""
    return Path(__file__).parent / "plans"
