"""The networks of a FLUX.1 folder, through diffusers and transformers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

from latentry import LoadReport
from latentry_diffusers.autoencoder import upcast
from latentry_diffusers.folder import Text, load_networks, load_text
from latentry_flux.checkpoint import FluxCheckpoint


@dataclass(frozen=True)
class Parts:
    """The networks of a checkpoint, ready to run, and what became of its tensors.

    Attributes:
        transformer: diffusers' ``FluxTransformer2DModel``.
        vae: diffusers' ``AutoencoderKL``.
        clip: CLIP-L.
        t5: T5-XXL.
        report: what became of the tensors.
    """

    transformer: Any
    vae: Any
    clip: Text
    t5: Text
    report: LoadReport


def load_parts(checkpoint: FluxCheckpoint, device: torch.device, dtype: torch.dtype) -> Parts:
    """Loads the networks.

    Raises:
        ModelError: a part is missing, damaged, or its tensors do not fit.
    """
    loaders: dict[str, Callable[..., Any]] = {
        "transformer": partial(FluxTransformer2DModel.from_pretrained, torch_dtype=dtype),
        "vae": partial(AutoencoderKL.from_pretrained, torch_dtype=upcast(checkpoint.vae, dtype)),
        "text_encoder": partial(CLIPTextModel.from_pretrained, dtype=dtype),
        "text_encoder_2": partial(T5EncoderModel.from_pretrained, dtype=dtype),
    }
    networks, report = load_networks(checkpoint.path, loaders, device)
    clip = load_text(checkpoint.path, "text_encoder", networks, CLIPTokenizer.from_pretrained)
    t5 = load_text(checkpoint.path, "text_encoder_2", networks, T5TokenizerFast.from_pretrained)
    return Parts(networks["transformer"], networks["vae"], clip, t5, report)
