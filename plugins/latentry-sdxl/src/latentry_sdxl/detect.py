"""Recognises Stable Diffusion XL in a diffusers folder, from its configurations and the headers of its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latentry import Detection, ModelFiles
from latentry_diffusers.configs import read_json
from latentry_diffusers.metadata import said_of

SHARED = ("unet", "vae", "text_encoder_2", "tokenizer_2", "scheduler")
"""Folders that a complete checkpoint of any variant has."""
PARTS = (*SHARED, "text_encoder", "tokenizer")
"""Folders of all variants but the refiner."""


def detect(files: ModelFiles) -> Detection | None:
    """Whether the folder holds Stable Diffusion XL; None where nothing speaks for it.

    The files of Turbo have the keys and shapes of base: their names or the scheduler they were published with tell
    the two apart, and where neither does both are possible.
    """
    path = files.path
    index = read_json(path / "model_index.json")
    unet = read_json(path / "unet" / "config.json")
    if index is None or unet is None:
        return None
    pipeline = str(index.get("_class_name", ""))
    if not pipeline.startswith("StableDiffusionXL"):
        return None
    refiner = _refines(index)
    missing = tuple(part for part in (SHARED if refiner else PARTS) if not (path / part).is_dir())
    channels = unet.get("in_channels", 4)
    evidence = (f"model_index.json names {pipeline}", f"the UNet takes {channels} channels")
    if (reason := _foreign(unet, channels)) is not None:
        return Detection((), 0.3, (*evidence, reason), missing)
    variants, sign = _variants(path, refiner, channels)
    return Detection(variants, 0.4 if missing else 0.95, (*evidence, sign), missing)


def _refines(index: dict[str, Any]) -> bool:
    named = index.get("text_encoder")
    without = isinstance(named, list) and named[:1] == [None]
    return bool(index.get("requires_aesthetics_score")) or without


def _foreign(unet: dict[str, Any], channels: object) -> str | None:
    if channels not in (4, 9):
        return "only networks with 4 channels, or 9 for inpainting, are supported"
    if unet.get("time_cond_proj_dim") is not None:
        return "the UNet is told the guidance scale (time_cond_proj_dim), which is not supported"
    return None


def _variants(path: Path, refiner: bool, channels: object) -> tuple[tuple[str, ...], str]:
    if refiner:
        return ("refiner",), "it has no first text encoder, or is told an aesthetic score"
    if channels == 9:
        return ("inpainting",), "9 channels are those of the latents, of the mask and of the picture around it"
    if "turbo" in said_of(path, "unet").lower():
        return ("turbo",), "the files are named Turbo"
    noise = read_json(path / "scheduler" / "scheduler_config.json") or {}
    name, spacing = noise.get("_class_name", "not named"), noise.get("timestep_spacing", "none")
    if spacing != "trailing" or noise.get("rescale_betas_zero_snr"):
        return ("base",), f"its scheduler has {spacing} spacing"
    if name == "EulerAncestralDiscreteScheduler":
        return ("turbo",), "its scheduler is EulerAncestralDiscreteScheduler with trailing spacing"
    return ("base", "turbo"), f"its scheduler is {name} with trailing spacing, which fits base and Turbo"
