"""How FLUX.1 was released, and writing checkpoints that way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from latentry import ModelFiles
from latentry.models import Conversion
from latentry_diffusers.convert.release import Place, Release
from latentry_diffusers.convert.write import write_checkpoint
from latentry_diffusers.layouts.clip import clip_pairs
from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.layouts.t5 import t5_single_pairs
from latentry_diffusers.layouts.vae import vae_pairs
from latentry_flux.checkpoint import open_checkpoint
from latentry_flux.variants import CONTROLLED

ARCHITECTURES: Mapping[str, str] = {
    "dev": "flux-1-dev",
    "schnell": "flux-1-schnell",
    "fill": "flux-1-fill-dev",
    "canny": "flux-1-canny-dev",
    "depth": "flux-1-depth-dev",
}
PIPELINES: Mapping[str, str] = {"fill": "FluxFillPipeline", **dict.fromkeys(CONTROLLED, "FluxControlPipeline")}


def release(variant: str) -> Release:
    """How a variant was released: every network as a file of its own."""
    return Release(
        pipeline=PIPELINES.get(variant, "FluxPipeline"),
        scheduler={"_class_name": "FlowMatchEulerDiscreteScheduler"},
        architecture=ARCHITECTURES[variant],
        places={
            "text_encoder": Place(clip_pairs, apart=True),
            "text_encoder_2": Place(t5_single_pairs, apart=True),
            "transformer": Place(flux_pairs),
            "vae": Place(vae_pairs, apart=True),
        },
    )


def convert(files: ModelFiles, variant: str, conversion: Conversion) -> tuple[Path, ...]:
    """Writes a checkpoint in another form; see ``latentry_diffusers.convert.write``."""
    return write_checkpoint(open_checkpoint(files, variant).bundle, release(variant), conversion)
