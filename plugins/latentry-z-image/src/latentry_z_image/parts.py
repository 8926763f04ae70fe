"""The networks of a Z-Image checkpoint, and where files hold them."""

from __future__ import annotations

from latentry_diffusers.bundle.networks import LANGUAGE_KEYS, QWEN3, VAE, PartSpec
from latentry_diffusers.bundle.tokenizers import TokenizerSpec
from latentry_diffusers.recognise.missing import Need
from latentry_z_image.layout import Z_IMAGE

ENCODER = "text_encoders.qwen3_4b.transformer."
"""How the names of the text encoder begin in a file of the whole checkpoint."""
NEEDS = (Need("Qwen3-4B", (ENCODER,)),)


def specs() -> tuple[PartSpec, ...]:
    """The networks in the order of their use."""
    transformer = {
        "dim": int,
        "n_layers": int,
        "n_refiner_layers": int,
        "in_channels": int,
        "cap_feat_dim": int,
        "axes_lens": list,
    }
    vae = {"block_out_channels": list, "latent_channels": int, "sample_size": int}
    tokenizer = TokenizerSpec("tokenizer", "qwen")
    return (
        PartSpec("text_encoder", QWEN3, LANGUAGE_KEYS, (ENCODER,), "text-encoder", tokenizer),
        PartSpec("transformer", Z_IMAGE, transformer, ("model.diffusion_model.",)),
        PartSpec("vae", VAE, vae, ("vae.", "first_stage_model."), "vae"),
    )
