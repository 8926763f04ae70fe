"""Recognises Stable Diffusion 1.x and 2.x, from configurations and from the headers of weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from latentry import Detection, ModelFiles
from latentry_diffusers.bundle.complete import check_complete
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.read import Read, shared_reader
from latentry_diffusers.recognise.metadata import folder_architecture
from latentry_diffusers.recognise.pipeline import read_pipeline
from latentry_diffusers.recognise.recognise import SURE, UNSUPPORTED, Family, recognise
from latentry_diffusers.recognise.unet_support import INPAINTING, why_not_config
from latentry_sd.parts import specs
from latentry_sd.variants import PARAMETERS, published
from latentry_sd.weights_file import find_in_file

PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
"""Folders that a complete checkpoint has."""
OTHERS = ("StableDiffusionXL", "StableDiffusion3")
"""How the pipeline names of other families begin."""
REPOSITORIES = {"sd-turbo": "stable-diffusion-v2-turbo"}
"""The architecture by published repository, where the configurations leave more than one."""
SECOND = ("sd21-base", "sd21", "sd-turbo")
"""Variants whose networks have the same shapes."""


class Finding(NamedTuple):
    """The variants a checkpoint can be, the evidence, what it predicts, and the variants that its shapes allow."""

    variants: tuple[str, ...]
    sign: str
    prediction: str
    possible: tuple[str, ...]


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are Stable Diffusion 1.x or 2.x; None if nothing in them suggests it.

    2.1, 2.1 base and SD Turbo have the same keys and shapes. Metadata that a program wrote tells them apart; in a
    folder, so does the scheduler's configuration. Otherwise several are possible.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    found = recognise(files, Family("sd", partial(_in_folder, read=shared_reader(files)), find_in_file))
    return check_complete(found, files, specs, published, PARAMETERS)


def _in_folder(path: Path, read: Read) -> Detection | None:
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
    variants, sign, prediction, possible = _by_configurations(path, read, channels, width)
    return Detection(variants, SURE, (*evidence, sign), missing, prediction=prediction, possible=possible)


def _by_configurations(path: Path, read: Read, channels: object, width: object) -> Finding:
    noise = read_json(path / "scheduler" / "scheduler_config.json") or {}
    predicts = str(noise.get("prediction_type", "epsilon"))
    if channels == 9:
        variants = ("sd2-inpainting" if width == 1024 else "sd15-inpainting",)
        return Finding(variants, INPAINTING, predicts, variants)
    if predicts == "v_prediction":
        return Finding(("sd21",), "it predicts v", predicts, SECOND if width == 1024 else ("sd21", "sd15"))
    if width != 1024:
        return Finding(("sd15",), f"it predicts {predicts}", predicts, ("sd15",))
    if "turbo" in (named := folder_architecture(path, "unet", REPOSITORIES, read)):
        return Finding(("sd-turbo",), f"its architecture is {named}", predicts, SECOND)
    if noise.get("timestep_spacing") == "trailing":
        sign = "its scheduler has trailing spacing, which fits 2.1 base and Turbo"
        return Finding(("sd21-base", "sd-turbo"), sign, predicts, SECOND)
    sign = f"it predicts {predicts}, and its scheduler does not have trailing spacing"
    return Finding(("sd21-base",), sign, predicts, SECOND)
