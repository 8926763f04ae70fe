"""Opens a Stable Diffusion checkpoint: first configurations and headers, weights on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentry import ModelFiles
from latentry.models import variance_preserving_settings
from latentry_diffusers.bundle.open import open_bundle
from latentry_diffusers.files.configs import check_agreement
from latentry_diffusers.model.unet_checkpoint import UNetCheckpoint
from latentry_diffusers.text.clip_skip import check_clip_skip
from latentry_sd.parts import load_parts, specs
from latentry_sd.variants import published

if TYPE_CHECKING:
    import torch
    from pydantic import BaseModel

    from latentry_sd.model import StableDiffusion


@dataclass(frozen=True)
class StableDiffusionCheckpoint(UNetCheckpoint):
    """A Stable Diffusion checkpoint whose configurations and headers have been read."""

    def check_conditioning(self, options: BaseModel) -> None:
        """Checks the conditioning's options; see ``latentry.models.ChecksConditioning``."""
        check_clip_skip(options, [self.bundle.config("text_encoder")])

    def load(
        self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None
    ) -> StableDiffusion:
        """Loads the networks; see ``latentry.models.Checkpoint``."""
        from latentry_diffusers.loading.dtypes import part_dtypes
        from latentry_sd.model import StableDiffusion

        return StableDiffusion(self, load_parts(self.bundle, device, part_dtypes(self.parts, dtype, dtypes)))


def open_checkpoint(files: ModelFiles, variant: str) -> StableDiffusionCheckpoint:
    """Reads the configurations and headers of a Stable Diffusion checkpoint.

    Raises:
        ModelError: a part is missing or damaged, a configuration cannot be understood, or they do not belong together.
    """
    bundle = open_bundle(files, specs(variant), published(variant))
    checkpoint = StableDiffusionCheckpoint(
        bundle,
        variant,
        variance_preserving_settings(bundle.scheduler),
    )
    latents = checkpoint.vae["latent_channels"]
    channels = 2 * latents + 1 if variant.endswith("inpainting") else latents
    claims = {
        "the width of the UNet's cross-attention": (
            checkpoint.unet["cross_attention_dim"],
            "the width of the text states",
            bundle.config("text_encoder")["hidden_size"],
        ),
        "the UNet's in_channels": (checkpoint.unet["in_channels"], f"what {variant} needs", channels),
    }
    check_agreement(files.path, claims)
    return checkpoint
