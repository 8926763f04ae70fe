"""Recognises Stable Diffusion in a diffusers folder, from its configurations alone."""

from __future__ import annotations

from pathlib import Path

from latentry import Detection
from latentry_diffusers.configs import read_json

PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
"""Folders that a complete checkpoint has."""


def detect(path: Path) -> Detection | None:
    """Whether the folder holds Stable Diffusion 1.x or 2.x; None where nothing speaks for it."""
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
    if channels != 4:
        return Detection((), 0.3, (*evidence, "only text-to-image networks with 4 channels are supported"), missing)
    return Detection((_variant(path, width),), 0.4 if missing else 0.95, evidence, missing)


def _variant(path: Path, width: object) -> str:
    noise = read_json(path / "scheduler" / "scheduler_config.json") or {}
    if noise.get("prediction_type") == "v_prediction":
        return "sd21"
    return "sd21-base" if width == 1024 else "sd15"
