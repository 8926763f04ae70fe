"""The networks of a FLUX.1 checkpoint: where files hold them, and how they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_diffusers.bundle.networks import CLIP, FLUX, T5, VAE, PartSpec
from latentry_diffusers.bundle.tokenizers import Text, TokenizerSpec, load_text

if TYPE_CHECKING:
    import torch

    from latentry.models import LoadReport
    from latentry_diffusers.bundle.open import Bundle


def specs() -> tuple[PartSpec, ...]:
    """The networks in the order of their use."""
    transformer = {
        "in_channels": int,
        "attention_head_dim": int,
        "joint_attention_dim": int,
        "pooled_projection_dim": int,
        "guidance_embeds": bool,
    }
    vae = {"block_out_channels": list, "latent_channels": int, "sample_size": int}
    clip, t5 = (f"text_encoders.{name}.transformer." for name in ("clip_l", "t5xxl"))
    return (
        PartSpec(
            "text_encoder", CLIP, {"hidden_size": int}, (clip,), "text-encoder", TokenizerSpec("tokenizer", "clip")
        ),
        PartSpec(
            "text_encoder_2",
            T5,
            {"d_model": int, "vocab_size": int},
            (t5,),
            "text-encoder",
            TokenizerSpec("tokenizer_2", "t5"),
        ),
        PartSpec("transformer", FLUX, transformer, ("model.diffusion_model.",), whole=()),  # a quarter modulates
        PartSpec("vae", VAE, vae, ("vae.", "first_stage_model."), "vae"),
    )


@dataclass(frozen=True)
class Parts:
    """The networks of a checkpoint, ready to run, and a report on its tensors.

    Attributes:
        transformer: diffusers' ``FluxTransformer2DModel``.
        vae: diffusers' ``AutoencoderKL``.
        clip: CLIP-L.
        t5: T5-XXL.
        report: on the tensors.
    """

    transformer: Any
    vae: Any
    clip: Text
    t5: Text
    report: LoadReport


def load_parts(bundle: Bundle, device: torch.device, dtypes: Mapping[str, torch.dtype]) -> Parts:
    """Loads the networks, each in its dtype.

    Raises:
        ModelError: a part is damaged, or its tensors do not fit.
    """
    from latentry_diffusers.loading.load import load_bundle

    networks, report = load_bundle(bundle, device, dtypes)
    clip, t5 = (load_text(networks[part], tokenizer) for part, tokenizer in bundle.tokenizers.items())
    return Parts(networks["transformer"], networks["vae"], clip, t5, report)
