"""Trained models as folders in diffusers' layout."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import diffusers
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import nn

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
    """The autoencoder, the text encoders by name and the denoiser of a folder, in float32.

    The networks are built here, since diffusers would write the path of the folder into the configuration of a model
    that it loads.
    """
    folders = design.folders()
    vae, denoiser = load_autoencoder(folder, design.channels), design.denoiser()
    denoiser.load_state_dict(load_file(folder / folders["denoiser"] / "diffusion_pytorch_model.safetensors"))
    encoders = {name: _text_encoder(folder / folders[name], name) for name in design.encoders}
    return vae, encoders, denoiser.eval()


def load_autoencoder(folder: Path, channels: int) -> AutoencoderKL:
    """The autoencoder of a folder, in float32."""
    vae = autoencoder(channels)
    vae.load_state_dict(load_file(folder / "vae" / "diffusion_pytorch_model.safetensors"))
    config = AutoencoderKL.load_config(folder, subfolder="vae")
    vae.register_to_config(scaling_factor=config["scaling_factor"], shift_factor=config["shift_factor"])
    return vae.eval()


def _text_encoder(folder: Path, name: str) -> nn.Module:
    """A text encoder; one that was written without its projection has a random one here, which is not used."""
    network: Any = TEXT_ENCODERS[name].build()
    state = load_file(folder / "model.safetensors")
    whole = network.state_dict().keys() <= state.keys() | {"encoder.embed_tokens.weight"}
    (network if whole else network.text_model).load_state_dict(state, strict=name != "t5")
    return cast(nn.Module, network.eval())
