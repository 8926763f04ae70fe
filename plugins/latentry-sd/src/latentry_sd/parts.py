"""The networks of a Stable Diffusion checkpoint: where files hold them, and how they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_diffusers.bundle.networks import CLIP, UNET, VAE, PartSpec
from latentry_diffusers.bundle.tokenizers import TokenizerSpec, load_text

if TYPE_CHECKING:
    import torch

    from latentry.models import LoadReport
    from latentry_diffusers.bundle.open import Bundle


def specs(variant: str) -> tuple[PartSpec, ...]:
    """The networks in the order of their use; OpenCLIP was trained with its first token as padding."""
    tokenizer = TokenizerSpec("tokenizer", "clip", None if variant.startswith("sd15") else "!")
    unet = {"sample_size": int, "in_channels": int, "block_out_channels": list, "cross_attention_dim": int}
    vae = {"block_out_channels": list, "latent_channels": int}
    text = ("cond_stage_model.transformer.", "cond_stage_model.model.")
    return (
        PartSpec("text_encoder", CLIP, {"hidden_size": int}, text, "text-encoder", tokenizer),
        PartSpec("unet", UNET, unet, ("model.diffusion_model.",)),
        PartSpec("vae", VAE, vae, ("first_stage_model.", "vae."), "vae"),
    )


@dataclass(frozen=True)
class Parts:
    """The networks of a checkpoint, ready to run, and a report on its tensors."""

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    report: LoadReport


def load_parts(bundle: Bundle, device: torch.device, dtypes: Mapping[str, torch.dtype]) -> Parts:
    """Loads the networks, each in its dtype.

    Raises:
        ModelError: a part is damaged, or its tensors do not fit.
    """
    from latentry_diffusers.loading.load import load_bundle

    networks, report = load_bundle(bundle, device, dtypes)
    text = load_text(networks["text_encoder"], bundle.tokenizers["text_encoder"])
    return Parts(networks["unet"], networks["vae"], text.encoder, text.tokenizer, report)
