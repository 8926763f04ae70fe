"""Writes a trained model as a folder in diffusers' layout."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
from diffusers import AutoencoderKL
from torch import nn

from latentry_shapes.designs import Design
from latentry_shapes.encoders import TEXT_ENCODERS


def export(
    out: Path, design: Design, vae: AutoencoderKL, encoders: Mapping[str, nn.Module], denoiser: nn.Module
) -> None:
    """The folder: float16, but for the text encoders, whose files' dtype is the one they are run in."""
    folders = design.folders()
    parts: dict[str, tuple[str, Any]] = {
        folders["denoiser"]: ("diffusers", copy.deepcopy(denoiser).half()),
        "vae": ("diffusers", copy.deepcopy(vae).half()),
        "scheduler": ("diffusers", design.scheduler()),
    }
    for name, network in encoders.items():
        parts[folders[name]] = ("transformers", design.exported(name, network))
        parts[folders[name].replace("text_encoder", "tokenizer")] = ("transformers", TEXT_ENCODERS[name].tokenizer())
    for folder, (_, part) in parts.items():
        part.save_pretrained(out / folder)
    listed = {folder: [library, type(part).__name__] for folder, (library, part) in sorted(parts.items())}
    index = {"_class_name": design.pipeline, "_diffusers_version": diffusers.__version__, **design.settings(), **listed}
    (out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
