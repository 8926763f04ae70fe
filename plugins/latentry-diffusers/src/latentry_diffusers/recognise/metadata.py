"""What a checkpoint says about itself, from its configurations and the headers of its weights."""

from __future__ import annotations

from pathlib import Path

from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.read import read_headers
from latentry_diffusers.files.weight_files import WeightFiles

V_MARK, ZERO_SNR_MARK = "v_pred", "ztsnr"
"""Tensors whose being there says that the network predicts v, and that its noisiest level has no signal."""
SAYINGS = ("title", "architecture")
"""Of modelspec's metadata, those that name the model (github.com/Stability-AI/ModelSpec)."""
SPELLINGS = {"v": "v_prediction", "v_prediction": "v_prediction", "epsilon": "epsilon", "eps": "epsilon"}


def said_of(path: Path, part: str) -> str:
    """What a folder calls itself: metadata of a part's weights and the names that its folders were saved from.

    From ``modelspec.title`` and ``modelspec.architecture`` of the safetensors headers and ``_name_or_path`` of
    ``model_index.json`` and of the part's ``config.json``, in one line; empty where there is none.

    Raises:
        ModelError: a file of weights is damaged.
    """
    configs = (read_json(path / "model_index.json"), read_json(path / part / "config.json"))
    names = [str((config or {}).get("_name_or_path", "")) for config in configs]
    names += [said_in(read_headers(file)) for file in sorted((path / part).glob("*.safetensors"))]
    return " ".join(dict.fromkeys(name for name in names if name))


def said_in(weights: WeightFiles) -> str:
    """What files of weights call themselves, in one line; empty where they do not."""
    return " ".join(name for key in SAYINGS if (name := weights.metadata.get(f"modelspec.{key}", "").strip()))


def predicted(weights: WeightFiles) -> tuple[str, str] | None:
    """What the network predicts, and where files of weights say so; None where they do not."""
    if V_MARK in weights.tensors:
        return "v_prediction", f"it holds the mark {V_MARK}"
    said = weights.metadata.get("modelspec.prediction_type", "").strip().lower()
    return (SPELLINGS[said], f"its modelspec.prediction_type is {said}") if said in SPELLINGS else None


def noise_marks(weights: WeightFiles) -> dict[str, object]:
    """What files of weights say of their noise process, in the keys of diffusers' ``scheduler_config.json``."""
    marks: dict[str, object] = {}
    if (prediction := predicted(weights)) is not None:
        marks["prediction_type"] = prediction[0]
    if ZERO_SNR_MARK in weights.tensors:
        marks["rescale_betas_zero_snr"] = True
    return marks
