"""The networks of a Stable Diffusion 3 checkpoint: where files hold them, and how they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry_diffusers.bundle.networks import CLIP_PROJECTED, SD3, T5, VAE, PartSpec
from latentry_diffusers.bundle.tokenizers import Text, TokenizerSpec, load_text

if TYPE_CHECKING:
    import torch

    from latentry.models import LoadReport
    from latentry_diffusers.bundle.open import Bundle

CLIPS = ("text_encoder", "text_encoder_2")
THIRD = "text_encoder_3"


def specs() -> tuple[PartSpec, ...]:
    """The networks in the order of their use; CLIP-G was trained with OpenCLIP's first token as padding.

    Single files hold CLIP-L without its projection, and its pooled state is not projected.
    """
    transformer = {
        "sample_size": int,
        "patch_size": int,
        "in_channels": int,
        "num_layers": int,
        "joint_attention_dim": int,
        "pooled_projection_dim": int,
        "pos_embed_max_size": int,
    }
    vae = {"block_out_channels": list, "latent_channels": int}
    clip = {"hidden_size": int, "projection_dim": int}
    pads = {"text_encoder": ("clip_l", None), "text_encoder_2": ("clip_g", "!")}
    return (
        *(
            PartSpec(
                part,
                CLIP_PROJECTED,
                clip,
                (f"text_encoders.{name}.transformer.", f"{name}.transformer."),
                "text-encoder",
                TokenizerSpec(part.replace("text_encoder", "tokenizer"), "clip", pad),
                identities=("text_projection.weight",) if name == "clip_l" else (),
            )
            for part, (name, pad) in pads.items()
        ),
        PartSpec(
            THIRD,
            T5,
            {"d_model": int, "vocab_size": int},
            ("text_encoders.t5xxl.transformer.", "t5xxl.transformer."),
            "text-encoder",
            TokenizerSpec("tokenizer_3", "t5"),
            optional=True,
        ),
        PartSpec("transformer", SD3, transformer, ("model.diffusion_model.",)),
        PartSpec("vae", VAE, vae, ("first_stage_model.", "vae."), "vae"),
    )


@dataclass(frozen=True)
class Parts:
    """The networks of a checkpoint, ready to run, and a report on its tensors.

    Attributes:
        transformer: diffusers' ``SD3Transformer2DModel``.
        vae: diffusers' ``AutoencoderKL``.
        clips: CLIP-L and CLIP-G.
        t5: T5-XXL, None where there is none.
        report: on the tensors.
    """

    transformer: Any
    vae: Any
    clips: tuple[Text, ...]
    t5: Text | None
    report: LoadReport


def load_parts(bundle: Bundle, device: torch.device, dtypes: Mapping[str, torch.dtype]) -> Parts:
    """Loads the networks, each in its dtype.

    Raises:
        ModelError: a part is damaged, or its tensors do not fit.
    """
    from latentry_diffusers.loading.load import load_bundle

    networks, report = load_bundle(bundle, device, dtypes)
    text = {part: load_text(networks[part], tokenizer) for part, tokenizer in bundle.tokenizers.items()}
    clips = tuple(text[part] for part in CLIPS)
    return Parts(networks["transformer"], networks["vae"], clips, text.get(THIRD), report)
