"""Opens a Stable Diffusion XL checkpoint: first configurations and headers, weights on request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry import ModelFiles
from latentry.models import variance_preserving_settings
from latentry_diffusers.bundle.open import open_bundle
from latentry_diffusers.files.configs import check_agreement
from latentry_diffusers.model.unet_checkpoint import UNetCheckpoint
from latentry_diffusers.text.clip_skip import check_clip_skip
from latentry_sdxl.micro import options_read
from latentry_sdxl.parts import load_parts, specs
from latentry_sdxl.variants import published

if TYPE_CHECKING:
    import torch
    from pydantic import BaseModel

    from latentry_sdxl.model import StableDiffusionXL


@dataclass(frozen=True)
class StableDiffusionXLCheckpoint(UNetCheckpoint):
    """A Stable Diffusion XL checkpoint whose configurations and headers have been read.

    Attributes:
        encoders: configurations of the text encoders by part, in the order in which their states are joined.
        zeros: an empty negative prompt is all zeros instead of what the encoders make of it.
    """

    encoders: Mapping[str, Mapping[str, Any]]
    zeros: bool

    @property
    def time_ids(self) -> int:
        """How many numbers the UNet takes besides the prompt: 6 are three pairs, 5 are two and an aesthetic score."""
        pooled = self.encoders["text_encoder_2"]["projection_dim"]
        extra, width = self.unet["projection_class_embeddings_input_dim"] - pooled, self.unet["addition_time_embed_dim"]
        return int(extra // width) if extra % width == 0 else 0

    def check_conditioning(self, options: BaseModel) -> None:
        """Checks the conditioning's options; see ``latentry.models.ChecksConditioning``."""
        check_clip_skip(options, self.encoders.values(), usual=1)

    def conditioning_read(self, *, negative: bool) -> Collection[str]:
        """The options that the UNet reads; see ``latentry.models.ReadsConditioning``."""
        return options_read(self.time_ids, negative=negative)

    def load(
        self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None
    ) -> StableDiffusionXL:
        """Loads the networks; see ``latentry.models.Checkpoint``."""
        from latentry_diffusers.loading.dtypes import part_dtypes
        from latentry_sdxl.model import StableDiffusionXL

        parts = load_parts(self.bundle, device, part_dtypes(self.parts, dtype, dtypes, vae=self.vae))
        return StableDiffusionXL(self, parts, time_ids=self.time_ids, zeros=self.zeros)


def open_checkpoint(files: ModelFiles, variant: str) -> StableDiffusionXLCheckpoint:
    """Reads the configurations and headers of a Stable Diffusion XL checkpoint.

    Raises:
        ModelError: a part is missing or damaged, a configuration cannot be understood, or they do not belong together.
    """
    bundle = open_bundle(files, specs(variant), published(variant))
    checkpoint = StableDiffusionXLCheckpoint(
        bundle,
        variant,
        variance_preserving_settings(bundle.scheduler),
        {part: bundle.config(part) for part in bundle.tokenizers},
        bool(bundle.index.get("force_zeros_for_empty_prompt", bool(bundle.index) or variant != "refiner")),
    )
    latents = checkpoint.vae["latent_channels"]
    channels = 2 * latents + 1 if variant == "inpainting" else latents
    claims = {
        "the width of the UNet's cross-attention": (
            checkpoint.unet["cross_attention_dim"],
            "the width of the text states",
            sum(config["hidden_size"] for config in checkpoint.encoders.values()),
        ),
        "the UNet's in_channels": (checkpoint.unet["in_channels"], f"what {variant} needs", channels),
        "the number of time ids": (checkpoint.time_ids, "what is known", 5 if checkpoint.time_ids == 5 else 6),
    }
    check_agreement(files.path, claims)
    return checkpoint
