"""Recognises Stable Diffusion in a diffusers folder, from its configurations alone."""

from __future__ import annotations

from pathlib import Path

from latentry import Detection, ModelFiles
from latentry_diffusers.configs import read_json
from latentry_diffusers.metadata import said_of

PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
"""Folders that a complete checkpoint has."""


def detect(files: ModelFiles) -> Detection | None:
    """Whether the folder holds Stable Diffusion 1.x or 2.x; None where nothing speaks for it.

    SD Turbo has the keys and shapes of 2.1 base: its own name for itself tells the two apart, and without one both
    are possible where the scheduler's spacing is the trailing one that Turbo was published with.
    """
    path = files.path
    index = read_json(path / "model_index.json")
    unet = read_json(path / "unet" / "config.json")
    if index is None or unet is None or "text_encoder_2" in index:
        return None
    pipeline = str(index.get("_class_name", ""))
    if not pipeline.startswith("StableDiffusion") or pipeline.startswith(("StableDiffusionXL", "StableDiffusion3")):
        return None
    missing = tuple(part for part in PARTS if not (path / part).is_dir())
    channels, width = unet.get("in_channels", 4), unet.get("cross_attention_dim")
    evidence = (
        f"model_index.json names {pipeline}",
        f"the UNet takes {channels} channels and text states of width {width}",
    )
    if channels not in (4, 9):
        return Detection((), 0.3, (*evidence, "only 4 channels, or 9 for inpainting, are supported"), missing)
    variants, sign = _variants(path, channels, width)
    return Detection(variants, 0.4 if missing else 0.95, (*evidence, sign), missing)


def _variants(path: Path, channels: object, width: object) -> tuple[tuple[str, ...], str]:
    if channels == 9:
        one = "sd2-inpainting" if width == 1024 else "sd15-inpainting"
        return (one,), "9 channels are those of the latents, of the mask and of the picture around it"
    noise = read_json(path / "scheduler" / "scheduler_config.json") or {}
    predicted = noise.get("prediction_type", "epsilon")
    if predicted == "v_prediction":
        return ("sd21",), "it predicts v"
    if width != 1024:
        return ("sd15",), f"it predicts {predicted}"
    if "turbo" in (said := said_of(path, "unet")).lower():
        return ("sd-turbo",), f"it calls itself {said}"
    if noise.get("timestep_spacing") == "trailing":
        return ("sd21-base", "sd-turbo"), "its scheduler has trailing spacing, which fits 2.1 base and Turbo"
    return ("sd21-base",), f"it predicts {predicted}, and its scheduler has no trailing spacing"
