"""What a checkpoint says about itself, in its configurations and in the headers of its weights.

Only what a machine wrote decides which variant a checkpoint is: marks among the tensors, ``modelspec.architecture``,
``modelspec.prediction_type``, and the repository that a folder was saved from. A title is free text: it is shown but
decides nothing, since a merge called "not a Turbo" is not one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.read import Read
from latentry_diffusers.files.weight_files import WeightFiles

V_MARK, ZERO_SNR_MARK = "v_pred", "ztsnr"
"""Tensors whose presence says that the network predicts v, and that its noisiest level has no signal."""
ZERO_SNR = "rescale_betas_zero_snr"
"""The key of ``scheduler_config.json`` that says the same as the second mark."""
SHOWN = ("title", "architecture")
"""Keys of modelspec's metadata that name the model (github.com/Stability-AI/ModelSpec)."""
SCHEDULER, SAMPLE_SIZE, GUIDANCE = "latentry.scheduler", "latentry.sample_size", "latentry.guidance"
"""Keys of what ``latentry convert`` keeps of a folder or an installed model: the scheduler's configuration as JSON, the
denoiser's ``sample_size``, and the guidance scale that suits it."""
SPELLINGS = {"v": "v_prediction", "v_prediction": "v_prediction", "epsilon": "epsilon", "eps": "epsilon"}


def stated_name(weights: WeightFiles) -> str:
    """What files of weights call themselves, in one line, to be shown; empty where they do not say."""
    return " ".join(name for key in SHOWN if (name := weights.metadata.get(f"modelspec.{key}", "").strip()))


def architecture(weights: WeightFiles) -> str:
    """``modelspec.architecture`` in lower case; empty where there is none."""
    return weights.metadata.get("modelspec.architecture", "").strip().lower()


def folder_architecture(path: Path, part: str, repositories: Mapping[str, str], read: Read) -> str:
    """The architecture of a folder in the diffusers layout, in lower case; empty where nothing says it.

    It is taken from the metadata of the denoiser's weights, else from ``_name_or_path`` in ``model_index.json`` or in
    the denoiser's ``config.json``, if that names a published repository.

    Args:
        path: the folder.
        part: name of the folder in it that holds the denoiser.
        repositories: architectures by the name of the published repository, without its owner.
        read: reads headers.

    Raises:
        ModelError: a file of weights is damaged.
    """
    stated = (architecture(read(file)) for file in sorted((path / part).glob("*.safetensors")))
    if found := next(filter(None, stated), ""):
        return found
    for config in (read_json(path / "model_index.json"), read_json(path / part / "config.json")):
        # a local path, or one in the Hub's cache, where a repository's folder is models--owner--name
        for folder in str((config or {}).get("_name_or_path", "")).lower().replace("\\", "/").split("/"):
            if (name := folder.rpartition("--")[2]) in repositories:
                return repositories[name]
    return ""


def predicted(weights: WeightFiles) -> tuple[str, str] | None:
    """What the network predicts, and where files of weights say so; None where they do not."""
    if V_MARK in weights.tensors:
        return "v_prediction", f"it holds the mark {V_MARK}"
    stated = weights.metadata.get("modelspec.prediction_type", "").strip().lower()
    return (SPELLINGS[stated], f"its modelspec.prediction_type is {stated}") if stated in SPELLINGS else None


def noise_marks(weights: WeightFiles) -> dict[str, object]:
    """What files of weights say of their noise process, in the keys of diffusers' ``scheduler_config.json``."""
    marks: dict[str, object] = {}
    if (prediction := predicted(weights)) is not None:
        marks["prediction_type"] = prediction[0]
    if ZERO_SNR_MARK in weights.tensors:
        marks[ZERO_SNR] = True
    return marks


def stated_scheduler(weights: WeightFiles) -> dict[str, Any]:
    """The scheduler's configuration that files of weights hold; empty where they hold none, or it is damaged."""
    try:
        content = json.loads(weights.metadata.get(SCHEDULER, "{}"))
    except (TypeError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def stated_sample_size(weights: WeightFiles) -> int | None:
    """The side of the latents that a denoiser was trained on, where files of weights say it."""
    text = str(weights.metadata.get(SAMPLE_SIZE, ""))
    return int(text) if re.fullmatch("[1-9][0-9]{0,4}", text) else None


def stated_guidance(weights: WeightFiles) -> float | None:
    """The guidance scale that files of weights say suits them."""
    try:
        scale = float(weights.metadata.get(GUIDANCE, "nan"))
    except (TypeError, ValueError):
        return None
    return scale if 0.0 <= scale <= 1000.0 else None
