"""The networks of a Stable Diffusion XL checkpoint: where files hold them, and how they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_diffusers.bundle.networks import CLIP, CLIP_PROJECTED, UNET, VAE, PartSpec
from latentry_diffusers.bundle.tokenizers import Text, TokenizerSpec, load_text

if TYPE_CHECKING:
    import torch

    from latentry.models import LoadReport
    from latentry_diffusers.bundle.open import Bundle

TEXT = {"hidden_size": int, "projection_dim": int}


def specs(variant: str) -> tuple[PartSpec, ...]:
    """The networks in the order of their use; OpenCLIP was trained with its first token as padding."""
    unet = {
        "sample_size": int,
        "in_channels": int,
        "block_out_channels": list,
        "cross_attention_dim": int,
        "addition_time_embed_dim": int,
        "projection_class_embeddings_input_dim": int,
    }
    vae = {"block_out_channels": list, "latent_channels": int}
    refiner = variant == "refiner"
    tokenizers = TokenizerSpec("tokenizer", "clip"), TokenizerSpec("tokenizer_2", "clip", "!")
    first = PartSpec(
        "text_encoder", CLIP, TEXT, ("conditioner.embedders.0.transformer.",), "text-encoder", tokenizers[0]
    )
    prefix = "conditioner.embedders.0.model." if refiner else "conditioner.embedders.1.model."
    return (
        *(() if refiner else (first,)),
        PartSpec("text_encoder_2", CLIP_PROJECTED, TEXT, (prefix,), "text-encoder", tokenizers[1]),
        PartSpec("unet", UNET, unet, ("model.diffusion_model.",)),
        PartSpec("vae", VAE, vae, ("first_stage_model.", "vae."), "vae"),
    )


@dataclass(frozen=True)
class Parts:
    """The networks of a checkpoint, ready to run, and a report on its tensors.

    Attributes:
        unet: diffusers' ``UNet2DConditionModel``.
        vae: diffusers' ``AutoencoderKL``.
        text: text encoders and their tokenizers, in the order in which their states are joined.
        report: on the tensors.
    """

    unet: Any
    vae: Any
    text: tuple[Text, ...]
    report: LoadReport


def load_parts(bundle: Bundle, device: torch.device, dtypes: Mapping[str, torch.dtype]) -> Parts:
    """Loads the networks, each in its dtype.

    Raises:
        ModelError: a part is damaged, or its tensors do not fit.
    """
    from latentry_diffusers.loading.load import load_bundle

    networks, report = load_bundle(bundle, device, dtypes)
    text = tuple(load_text(networks[part], tokenizer) for part, tokenizer in bundle.tokenizers.items())
    return Parts(networks["unet"], networks["vae"], text, report)
