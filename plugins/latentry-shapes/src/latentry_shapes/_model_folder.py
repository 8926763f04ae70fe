"""Trained models as folders in diffusers' layout."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPTextModel

from latentry_shapes.designs import Design
from latentry_shapes.encoders import TEXT_ENCODERS
from latentry_shapes.networks import autoencoder


def export(
    out: Path, design: Design, vae: AutoencoderKL, encoders: Mapping[str, nn.Module], denoiser: nn.Module
) -> None:
    """Writes the folder: float16, except the text encoders, which run in the dtype of their files and stay float32."""
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


def load(folder: Path, design: Design) -> tuple[AutoencoderKL, dict[str, nn.Module], nn.Module]:
    """The autoencoder, the text encoders by name and the UNet of a Stable Diffusion folder, in float32.

    The autoencoder and the UNet are built here, since diffusers would write the path of the folder into the
    configuration of a model that it loads.
    """
    vae, unet = load_autoencoder(folder, design.channels), design.denoiser()
    unet.load_state_dict(load_file(folder / "unet" / "diffusion_pytorch_model.safetensors"))
    clip = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", local_files_only=True).float()
    return vae, {"clip": clip.eval()}, unet.eval()


def load_autoencoder(folder: Path, channels: int) -> AutoencoderKL:
    """The autoencoder of a folder, in float32."""
    vae = autoencoder(channels)
    vae.load_state_dict(load_file(folder / "vae" / "diffusion_pytorch_model.safetensors"))
    config = AutoencoderKL.load_config(folder, subfolder="vae")
    vae.register_to_config(scaling_factor=config["scaling_factor"], shift_factor=config["shift_factor"])
    return vae.eval()
