"""How Z-Image was released, and writing checkpoints that way."""

from __future__ import annotations

from pathlib import Path

from latentry import ModelFiles
from latentry.models import Conversion
from latentry_diffusers.convert.release import Place, Release
from latentry_diffusers.convert.write import write_checkpoint
from latentry_diffusers.layouts.language import language_single_pairs
from latentry_diffusers.layouts.vae import vae_pairs
from latentry_z_image.checkpoint import open_checkpoint
from latentry_z_image.layout import z_image_pairs


def release(variant: str) -> Release:
    """How a variant was released: as single files, every network has one of its own."""
    return Release(
        pipeline="ZImagePipeline",
        scheduler={"_class_name": "FlowMatchEulerDiscreteScheduler"},
        architecture="z-image-turbo" if variant == "turbo" else "z-image",
        places={
            "text_encoder": Place(language_single_pairs, apart=True),
            "transformer": Place(z_image_pairs),
            "vae": Place(vae_pairs, apart=True),
        },
        without=(),
    )


def convert(files: ModelFiles, variant: str, conversion: Conversion) -> tuple[Path, ...]:
    """Writes a checkpoint in another form; see ``latentry_diffusers.convert.write``."""
    return write_checkpoint(open_checkpoint(files, variant).bundle, release(variant), conversion)
