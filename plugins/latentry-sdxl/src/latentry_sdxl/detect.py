"""Recognises Stable Diffusion XL, from configurations and from the headers of weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from latentry import Detection, ModelFiles
from latentry_diffusers.bundle.complete import check_complete
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.read import Read, shared_reader
from latentry_diffusers.recognise.metadata import folder_architecture
from latentry_diffusers.recognise.pipeline import read_pipeline
from latentry_diffusers.recognise.recognise import SURE, UNSUPPORTED, Family, recognise
from latentry_diffusers.recognise.unet_support import INPAINTING, why_not_config
from latentry_sdxl.parts import specs
from latentry_sdxl.variants import PARAMETERS, published
from latentry_sdxl.weights_file import EITHER, find_in_file

SHARED = ("unet", "vae", "text_encoder_2", "tokenizer_2", "scheduler")
"""Folders that a complete checkpoint of any variant has."""
PARTS = (*SHARED, "text_encoder", "tokenizer")
"""Folders of all variants but the refiner."""
REPOSITORIES = {"sdxl-turbo": "stable-diffusion-xl-v1-turbo"}
"""The architecture by published repository, where the configurations leave more than one."""


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are Stable Diffusion XL; None if nothing in them suggests it.

    Turbo has the keys and shapes of base. Metadata that a program wrote tells the two apart; in a folder, so does the
    scheduler they were published with. Otherwise both are possible.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    found = recognise(files, Family("sdxl", partial(_in_folder, read=shared_reader(files)), find_in_file))
    return check_complete(found, files, specs, published, PARAMETERS)


def _in_folder(path: Path, read: Read) -> Detection | None:
    found = read_pipeline(path, "unet", begins="StableDiffusionXL")
    if found is None:
        return None
    pipeline, index, unet = found
    refiner = _refines(index)
    missing = tuple(part for part in (SHARED if refiner else PARTS) if not (path / part).is_dir())
    channels = unet.get("in_channels", 4)
    evidence = (f"model_index.json names {pipeline}", f"the UNet takes {channels} channels")
    if (reason := why_not_config(unet)) is not None:
        return Detection((), UNSUPPORTED, (*evidence, reason), missing)
    possible, variants, sign = _variants(path, read, refiner, channels)
    noise = read_json(path / "scheduler" / "scheduler_config.json") or {}
    prediction = str(noise.get("prediction_type", "epsilon"))
    return Detection(variants, SURE, (*evidence, sign), missing, prediction=prediction, possible=possible)


def _refines(index: Mapping[str, Any]) -> bool:
    named = index.get("text_encoder")
    without = isinstance(named, list) and named[:1] == [None]
    return bool(index.get("requires_aesthetics_score")) or without


def _variants(path: Path, read: Read, refiner: bool, channels: object) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The variants that the shapes allow, those that the configurations leave, and the evidence."""
    if refiner:
        return ("refiner",), ("refiner",), "it has no first text encoder, or takes an aesthetic score"
    if channels == 9:
        return ("inpainting",), ("inpainting",), INPAINTING
    if "turbo" in (named := folder_architecture(path, "unet", REPOSITORIES, read)):
        return EITHER, ("turbo",), f"its architecture is {named}"
    noise = read_json(path / "scheduler" / "scheduler_config.json") or {}
    name, spacing = noise.get("_class_name", "not named"), noise.get("timestep_spacing", "none")
    if spacing != "trailing" or noise.get("rescale_betas_zero_snr"):
        return EITHER, ("base",), f"its scheduler has {spacing} spacing"
    if name == "EulerAncestralDiscreteScheduler":
        return EITHER, ("turbo",), "its scheduler is EulerAncestralDiscreteScheduler with trailing spacing"
    return EITHER, EITHER, f"its scheduler is {name} with trailing spacing, which fits base and Turbo"
