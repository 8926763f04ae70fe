"""Recognises Stable Diffusion 1.x and 2.x, from configurations and from the headers of weights."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from latentry import Detection, ModelFiles
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.recognise.metadata import said_of
from latentry_diffusers.recognise.recognise import SURE, UNSUPPORTED, Family, read_pipeline, recognise
from latentry_diffusers.recognise.unet_support import INPAINTING, why_not_config
from latentry_sd.sighting import see

PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
"""Folders that a complete checkpoint has."""
OTHERS = ("StableDiffusionXL", "StableDiffusion3")
"""Pipelines of other families begin so."""


class Finding(NamedTuple):
    """The variants a checkpoint can be, by which sign, and what it predicts."""

    variants: tuple[str, ...]
    sign: str
    prediction: str | None


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are those of Stable Diffusion 1.x or 2.x; None where nothing speaks for it.

    2.1, 2.1 base and SD Turbo have the same keys and shapes: what they say of themselves tells them apart, in a folder
    also what the scheduler says; otherwise several are possible.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    return recognise(files, Family("sd", _in_folder, see))


def _in_folder(path: Path) -> Detection | None:
    found = read_pipeline(path, "unet", begins="StableDiffusion")
    if found is None or "text_encoder_2" in found.listed or found.name.startswith(OTHERS):
        return None
    pipeline, unet = found.name, found.denoiser
    missing = tuple(part for part in PARTS if not (path / part).is_dir())
    channels, width = unet.get("in_channels", 4), unet.get("cross_attention_dim")
    evidence = (
        f"model_index.json names {pipeline}",
        f"the UNet takes {channels} channels and text states of width {width}",
    )
    if (reason := why_not_config(unet)) is not None:
        return Detection((), UNSUPPORTED, (*evidence, reason), missing)
    signs = _by_configs(path, channels, width)
    return Detection(signs.variants, SURE, (*evidence, signs.sign), missing, prediction=signs.prediction)


def _by_configs(path: Path, channels: object, width: object) -> Finding:
    noise = read_json(path / "scheduler" / "scheduler_config.json") or {}
    predicts = str(noise.get("prediction_type", "epsilon"))
    if channels == 9:
        return Finding(("sd2-inpainting" if width == 1024 else "sd15-inpainting",), INPAINTING, predicts)
    if predicts == "v_prediction":
        return Finding(("sd21",), "it predicts v", predicts)
    if width != 1024:
        return Finding(("sd15",), f"it predicts {predicts}", predicts)
    if "turbo" in (said := said_of(path, "unet")).lower():
        return Finding(("sd-turbo",), f"it calls itself {said}", predicts)
    if noise.get("timestep_spacing") == "trailing":
        sign = "its scheduler has trailing spacing, which fits 2.1 base and Turbo"
        return Finding(("sd21-base", "sd-turbo"), sign, predicts)
    return Finding(("sd21-base",), f"it predicts {predicts}, and its scheduler has no trailing spacing", predicts)
