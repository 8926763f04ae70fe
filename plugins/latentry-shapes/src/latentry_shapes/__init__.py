"""Small diffusion models that draw coloured shapes, and the tools that train and judge them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import CheckpointSpec, hookimpl


@hookimpl
def latentry_checkpoints() -> Iterable[CheckpointSpec]:
    """The trained models that ship with this package."""
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
            summary="The same with v-prediction.",
            family="latentry-sd:sd",
            variant="sd21",
            size=64,
            licence="Apache-2.0",
            guidance=1.5,
        ),
        CheckpointSpec(
            name="shapes-inpainting",
            target="latentry_shapes._checkpoint:shapes_inpainting",
            summary="The same for inpainting: also shown a mask and the picture around it.",
            family="latentry-sd:sd",
            variant="sd15-inpainting",
            size=64,
            licence="Apache-2.0",
            guidance=1.5,
        ),
        CheckpointSpec(
            name="shapes-sdxl",
            target="latentry_shapes._checkpoint:shapes_sdxl",
            summary="The same as a Stable Diffusion XL: two text encoders, told the picture's size and crop.",
            family="latentry-sdxl:sdxl",
            variant="base",
            size=64,
            licence="Apache-2.0",
            guidance=1.5,
        ),
        CheckpointSpec(
            name="shapes-flux",
            target="latentry_shapes._checkpoint:shapes_flux",
            summary="The same as a FLUX.1 dev: a transformer on straight paths that is told its guidance.",
            family="latentry-flux:flux",
            variant="dev",
            size=64,
            licence="Apache-2.0",
            guidance=3.0,
        ),
        CheckpointSpec(
            name="shapes-sd3",
            target="latentry_shapes._checkpoint:shapes_sd3",
            summary="The same as a Stable Diffusion 3.5: a transformer on straight paths, three text encoders.",
            family="latentry-sd3:sd3",
            variant="sd35-medium",
            size=64,
            licence="Apache-2.0",
            guidance=2.0,
        ),
    ]
