"""Small diffusion models that draw coloured shapes, and the tools that train and judge them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import CheckpointSpec, hookimpl


@hookimpl
def latentry_checkpoints() -> Iterable[CheckpointSpec]:
    """The trained models in this package."""
    return [
        CheckpointSpec(
            name="shapes",
            target="latentry_shapes._checkpoint:shapes",
            summary="One or two coloured shapes on a plain background, 64x64, trained on drawings.",
            family="latentry-sd:sd",
            variant="sd15",
            size=64,
            licence="Apache-2.0",
            guidance=1.5,
            default=True,
        ),
        CheckpointSpec(
            name="shapes-v",
            target="latentry_shapes._checkpoint:shapes_v",
            summary="The same, trained to predict v.",
            family="latentry-sd:sd",
            variant="sd21",
            size=64,
            licence="Apache-2.0",
            guidance=1.5,
        ),
        CheckpointSpec(
            name="shapes-inpainting",
            target="latentry_shapes._checkpoint:shapes_inpainting",
            summary="The same for inpainting: it also gets a mask and the picture around it.",
            family="latentry-sd:sd",
            variant="sd15-inpainting",
            size=64,
            licence="Apache-2.0",
            guidance=1.5,
        ),
        CheckpointSpec(
            name="shapes-sdxl",
            target="latentry_shapes._checkpoint:shapes_sdxl",
            summary="The same as a small Stable Diffusion XL: two text encoders, size and crop as inputs.",
            family="latentry-sdxl:sdxl",
            variant="base",
            size=64,
            licence="Apache-2.0",
            guidance=1.5,
        ),
        CheckpointSpec(
            name="shapes-flux",
            target="latentry_shapes._checkpoint:shapes_flux",
            summary="The same as a small FLUX.1 dev: a rectified-flow transformer with the guidance scale as an input.",
            family="latentry-flux:flux",
            variant="dev",
            size=64,
            licence="Apache-2.0",
            guidance=3.0,
        ),
        CheckpointSpec(
            name="shapes-sd3",
            target="latentry_shapes._checkpoint:shapes_sd3",
            summary="The same as a small Stable Diffusion 3.5: a rectified-flow transformer with three text encoders.",
            family="latentry-sd3:sd3",
            variant="sd35-medium",
            size=64,
            licence="Apache-2.0",
            guidance=2.0,
        ),
    ]
