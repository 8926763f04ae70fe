"""The networks of a Stable Diffusion 3 folder, through diffusers and transformers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

from latentry import LoadReport
from latentry_diffusers.autoencoder import upcast
from latentry_diffusers.folder import Text, load_networks, load_text
from latentry_sd3.checkpoint import CLIPS, StableDiffusion3Checkpoint


@dataclass(frozen=True)
class Parts:
    """The networks of a checkpoint, ready to run, and what became of its tensors.

    Attributes:
        transformer: diffusers' ``SD3Transformer2DModel``.
        vae: diffusers' ``AutoencoderKL``.
        clips: CLIP-L and CLIP-G.
        t5: T5-XXL, None where there is none.
        report: what became of the tensors.
    """

    transformer: Any
    vae: Any
    clips: tuple[Text, ...]
    t5: Text | None
    report: LoadReport


def load_parts(checkpoint: StableDiffusion3Checkpoint, device: torch.device, dtype: torch.dtype) -> Parts:
    """Loads the networks.

    Raises:
        ModelError: a part is missing, damaged, or its tensors do not fit.
    """
    loaders: dict[str, Callable[..., Any]] = {
        "transformer": partial(SD3Transformer2DModel.from_pretrained, torch_dtype=dtype),
        "vae": partial(AutoencoderKL.from_pretrained, torch_dtype=upcast(checkpoint.vae, dtype)),
        **{part: partial(CLIPTextModelWithProjection.from_pretrained, dtype=dtype) for part in CLIPS},
    }
    if checkpoint.t5:
        loaders["text_encoder_3"] = partial(T5EncoderModel.from_pretrained, dtype=dtype)
    networks, report = load_networks(checkpoint.path, loaders, device)

    clips = tuple(load_text(checkpoint.path, part, networks, CLIPTokenizer.from_pretrained) for part in CLIPS)
    t5 = None
    if checkpoint.t5:
        t5 = load_text(checkpoint.path, "text_encoder_3", networks, T5TokenizerFast.from_pretrained)
    return Parts(networks["transformer"], networks["vae"], clips, t5, report)
