"""The networks of a Qwen-Image checkpoint, and where files hold them."""

from __future__ import annotations

from dataclasses import replace

from latentry_diffusers.bundle.networks import LANGUAGE_KEYS, QWEN25_VL, QWEN25_VL_SEEING, PartSpec
from latentry_diffusers.bundle.tokenizers import TokenizerSpec
from latentry_diffusers.recognise.missing import Need
from latentry_qwen_image.layout import QWEN_IMAGE, QWEN_IMAGE_VAE

ENCODER = "text_encoders.qwen25_7b.transformer."
"""How the names of the text encoder begin in a file of the whole checkpoint."""
NEEDS = (Need("Qwen2.5-VL-7B", (ENCODER,)),)


def specs(variant: str) -> tuple[PartSpec, ...]:
    """A variant's networks in the order of their use."""
    transformer = {
        "in_channels": int,
        "num_layers": int,
        "num_attention_heads": int,
        "attention_head_dim": int,
        "joint_attention_dim": int,
    }
    vae = {
        "base_dim": int,
        "z_dim": int,
        "dim_mult": list,
        "temperal_downsample": list,
        "latents_mean": list,
        "latents_std": list,
    }
    tokenizer = TokenizerSpec("tokenizer", "qwen")
    encoder = PartSpec(
        "text_encoder", QWEN25_VL, LANGUAGE_KEYS, (ENCODER,), "text-encoder", tokenizer, within="text_config"
    )
    if variant != "image":
        seeing = {"text_config": dict, "vision_config": dict}
        encoder = replace(encoder, network=QWEN25_VL_SEEING, kinds=seeing, within="")
    return (
        encoder,
        PartSpec("transformer", QWEN_IMAGE, transformer, ("model.diffusion_model.",)),
        PartSpec("vae", QWEN_IMAGE_VAE, vae, ("vae.", "first_stage_model."), "vae"),
    )
