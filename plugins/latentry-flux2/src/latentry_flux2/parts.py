"""The networks of a FLUX.2 checkpoint, and where files hold them."""

from __future__ import annotations

from latentry_diffusers.bundle.networks import LANGUAGE_KEYS, MISTRAL, QWEN3, PartSpec
from latentry_diffusers.bundle.tokenizers import TokenizerSpec
from latentry_diffusers.recognise.missing import Need
from latentry_flux2.layout import FLUX2, FLUX2_VAE

ENCODERS = {"dev": "mistral3_24b", "4b": "qwen3_4b", "9b": "qwen3_8b"}
NAMES = {"dev": "Mistral Small", "4b": "Qwen3-4B", "9b": "Qwen3-8B"}


def encoder_prefix(variant: str) -> str:
    """How the names of the text encoder begin in a file of the whole checkpoint."""
    return f"text_encoders.{ENCODERS[_size(variant)]}.transformer."


def needs(variant: str) -> tuple[Need, ...]:
    """The text encoder that a file may lack."""
    return (Need(NAMES[_size(variant)], (encoder_prefix(variant),)),)


def specs(variant: str) -> tuple[PartSpec, ...]:
    """The networks of a variant in the order of their use."""
    transformer = {
        "in_channels": int,
        "num_layers": int,
        "num_single_layers": int,
        "num_attention_heads": int,
        "attention_head_dim": int,
        "joint_attention_dim": int,
        "guidance_embeds": bool,
    }
    vae = {"block_out_channels": list, "latent_channels": int, "sample_size": int}
    dev = variant == "dev"
    return (
        PartSpec(
            "text_encoder",
            MISTRAL if dev else QWEN3,
            LANGUAGE_KEYS,
            (encoder_prefix(variant),),
            "text-encoder",
            TokenizerSpec("tokenizer", "mistral" if dev else "qwen"),
            within="text_config" if dev else "",
        ),
        PartSpec("transformer", FLUX2, transformer, ("model.diffusion_model.",)),
        PartSpec("vae", FLUX2_VAE, vae, ("vae.", "first_stage_model."), "vae"),
    )


def _size(variant: str) -> str:
    return variant if variant == "dev" else variant[-2:]
