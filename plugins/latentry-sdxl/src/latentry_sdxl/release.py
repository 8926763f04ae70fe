"""How Stable Diffusion XL was released, and writing checkpoints that way."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from latentry import ModelFiles
from latentry.models import Conversion
from latentry_diffusers.bundle.networks import Config
from latentry_diffusers.convert.release import Place, Release
from latentry_diffusers.convert.write import write_checkpoint
from latentry_diffusers.layouts.clip import clip_pairs, open_clip_pairs
from latentry_diffusers.layouts.unet import unet_pairs
from latentry_diffusers.layouts.vae import vae_pairs
from latentry_sdxl.checkpoint import open_checkpoint

ARCHITECTURES: Mapping[str, str] = {
    "base": "stable-diffusion-xl-v1-base",
    "refiner": "stable-diffusion-xl-v1-refiner",
    "inpainting": "stable-diffusion-xl-v1-inpainting",
    "turbo": "stable-diffusion-xl-v1-turbo",
}
PIPELINES: Mapping[str, str] = {
    "base": "StableDiffusionXLPipeline",
    "refiner": "StableDiffusionXLImg2ImgPipeline",
    "inpainting": "StableDiffusionXLInpaintPipeline",
    "turbo": "StableDiffusionXLPipeline",
}
EULER: Config = {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading", "steps_offset": 1}
TURBO: Config = {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing", "steps_offset": 1}


def release(variant: str) -> Release:
    """How a variant was released; the refiner has only the second text encoder, in the first place."""
    refiner = variant == "refiner"
    settings = {"force_zeros_for_empty_prompt": not refiner}
    if variant in ("refiner", "inpainting"):
        settings["requires_aesthetics_score"] = refiner
    return Release(
        pipeline=PIPELINES[variant],
        scheduler=TURBO if variant == "turbo" else EULER,
        architecture=ARCHITECTURES[variant],
        places={
            "text_encoder": Place(clip_pairs, "conditioner.embedders.0.transformer."),
            "text_encoder_2": Place(
                partial(open_clip_pairs, projected=True), f"conditioner.embedders.{0 if refiner else 1}.model."
            ),
            "unet": Place(unet_pairs, "model.diffusion_model."),
            "vae": Place(vae_pairs, "first_stage_model."),
        },
        settings=settings,
        without=("feature_extractor", "image_encoder", "text_encoder", "tokenizer"),
    )


def convert(files: ModelFiles, variant: str, conversion: Conversion) -> tuple[Path, ...]:
    """Writes a checkpoint in another form; see ``latentry_diffusers.convert.write``."""
    return write_checkpoint(open_checkpoint(files, variant).bundle, release(variant), conversion)
