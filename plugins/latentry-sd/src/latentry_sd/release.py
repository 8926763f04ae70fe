"""How Stable Diffusion 1.x and 2.x were released, and writing checkpoints that way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from latentry import ModelFiles
from latentry.models import Conversion
from latentry_diffusers.bundle.networks import Config
from latentry_diffusers.convert.release import Place, Release
from latentry_diffusers.convert.write import write_checkpoint
from latentry_diffusers.layouts.clip import clip_pairs, open_clip_pairs
from latentry_diffusers.layouts.unet import unet_pairs
from latentry_diffusers.layouts.vae import vae_pairs
from latentry_sd.checkpoint import open_checkpoint

ARCHITECTURES: Mapping[str, str] = {
    "sd15": "stable-diffusion-v1",
    "sd15-inpainting": "stable-diffusion-v1-inpainting",
    "sd21-base": "stable-diffusion-v2-512",
    "sd21": "stable-diffusion-v2-768-v",
    "sd2-inpainting": "stable-diffusion-v2-inpainting",
    "sd-turbo": "stable-diffusion-v2-turbo",
}
DDIM: Config = {"_class_name": "DDIMScheduler", "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
EULER: Config = {"_class_name": "EulerDiscreteScheduler", "steps_offset": 1}


def release(variant: str) -> Release:
    """How a variant was released; 1.x has CLIP as in transformers, 2.x as in OpenCLIP."""
    text = Place(open_clip_pairs, "cond_stage_model.model.")
    if variant.startswith("sd15"):
        text = Place(clip_pairs, "cond_stage_model.transformer.")
    return Release(
        pipeline="StableDiffusionInpaintPipeline" if variant.endswith("inpainting") else "StableDiffusionPipeline",
        scheduler=EULER if variant == "sd-turbo" else DDIM,
        architecture=ARCHITECTURES[variant],
        places={
            "text_encoder": text,
            "unet": Place(unet_pairs, "model.diffusion_model."),
            "vae": Place(vae_pairs, "first_stage_model."),
        },
        settings={"requires_safety_checker": False},
        without=("feature_extractor", "image_encoder", "safety_checker"),
    )


def convert(files: ModelFiles, variant: str, conversion: Conversion) -> tuple[Path, ...]:
    """Writes a checkpoint in another form; see ``latentry_diffusers.convert.write``."""
    return write_checkpoint(open_checkpoint(files, variant).bundle, release(variant), conversion)
