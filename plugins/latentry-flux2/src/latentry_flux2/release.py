"""How FLUX.2 was released, and writing checkpoints that way."""

from __future__ import annotations

from pathlib import Path

from latentry import ModelFiles
from latentry.models import Conversion
from latentry_diffusers.convert.release import Place, Release
from latentry_diffusers.convert.write import write_checkpoint
from latentry_diffusers.layouts.language import language_single_pairs
from latentry_flux2.checkpoint import open_checkpoint
from latentry_flux2.layout import flux2_pairs, flux2_vae_pairs


def release(variant: str) -> Release:
    """How a variant was released: every network as a file of its own."""
    distilled = variant in ("klein-4b", "klein-9b")
    return Release(
        pipeline="Flux2Pipeline" if variant == "dev" else "Flux2KleinPipeline",
        scheduler={"_class_name": "FlowMatchEulerDiscreteScheduler"},
        architecture=f"flux-2-{variant}",
        places={
            "text_encoder": Place(language_single_pairs, apart=True),
            "transformer": Place(flux2_pairs),
            "vae": Place(flux2_vae_pairs, apart=True),
        },
        settings={} if variant == "dev" else {"is_distilled": distilled},
        without=(),
    )


def convert(files: ModelFiles, variant: str, conversion: Conversion) -> tuple[Path, ...]:
    """Writes a checkpoint in another form; see ``latentry_diffusers.convert.write``."""
    return write_checkpoint(open_checkpoint(files, variant).bundle, release(variant), conversion)
