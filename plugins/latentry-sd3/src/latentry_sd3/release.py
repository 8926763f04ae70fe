"""How Stable Diffusion 3 was released, and writing checkpoints that way."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from latentry import ModelFiles
from latentry.models import Conversion
from latentry_diffusers.convert.release import Place, Release
from latentry_diffusers.convert.write import write_checkpoint
from latentry_diffusers.layouts.clip import clip_pairs
from latentry_diffusers.layouts.sd3 import sd3_pairs
from latentry_diffusers.layouts.t5 import t5_single_pairs
from latentry_diffusers.layouts.vae import vae_pairs
from latentry_sd3.checkpoint import open_checkpoint

ARCHITECTURES: Mapping[str, str] = {
    "sd35-medium": "stable-diffusion-3.5-medium",
    "sd35-large": "stable-diffusion-3.5-large",
    "sd35-large-turbo": "stable-diffusion-3.5-large-turbo",
    "sd3-medium": "stable-diffusion-3-medium",
}


def release(variant: str) -> Release:
    """How a variant was released; both CLIPs have transformers' names."""
    clip = partial(clip_pairs, projected=True)
    return Release(
        pipeline="StableDiffusion3Pipeline",
        scheduler={"_class_name": "FlowMatchEulerDiscreteScheduler"},
        architecture=ARCHITECTURES[variant],
        places={
            "text_encoder": Place(clip, "text_encoders.clip_l.transformer."),
            "text_encoder_2": Place(clip, "text_encoders.clip_g.transformer."),
            "text_encoder_3": Place(t5_single_pairs, "text_encoders.t5xxl.transformer."),
            "transformer": Place(sd3_pairs, "model.diffusion_model."),
            "vae": Place(vae_pairs, "first_stage_model."),
        },
        without=("feature_extractor", "image_encoder", "text_encoder_3", "tokenizer_3"),
    )


def convert(files: ModelFiles, variant: str, conversion: Conversion) -> tuple[Path, ...]:
    """Writes a checkpoint in another form; see ``latentry_diffusers.convert.write``."""
    return write_checkpoint(open_checkpoint(files, variant).bundle, release(variant), conversion)
