"""Opens a FLUX.1 checkpoint: first configurations and headers, weights on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentry import ModelFiles
from latentry.models import flow_settings
from latentry_diffusers.bundle.open import open_bundle
from latentry_diffusers.files.configs import check_agreement
from latentry_diffusers.model.checkpoint import TransformerCheckpoint
from latentry_diffusers.model.packing import PATCH
from latentry_diffusers.model.picture_size import check_size
from latentry_flux.parts import load_parts, specs
from latentry_flux.variants import CONTROLLED, published

if TYPE_CHECKING:
    import torch

    from latentry_flux.model import Flux


@dataclass(frozen=True)
class FluxCheckpoint(TransformerCheckpoint):
    """A FLUX.1 checkpoint whose configurations and headers have been read."""

    @property
    def attention_blocks(self) -> int:
        """The double blocks; see ``latentry.models.ChangesAttention``."""
        return int(self.transformer["num_layers"])

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """The shape of the latents; see ``latentry.models.Checkpoint``."""
        check_size(width, height, stride=self.patch, best=self.size)
        return (int(self.vae["latent_channels"]), height // self.factor, width // self.factor)

    def load(self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None) -> Flux:
        """Loads the networks; see ``latentry.models.Checkpoint``."""
        from latentry_diffusers.loading.dtypes import part_dtypes
        from latentry_flux.model import Flux

        return Flux(self, load_parts(self.bundle, device, part_dtypes(self.parts, dtype, dtypes, vae=self.vae)))


def open_checkpoint(files: ModelFiles, variant: str) -> FluxCheckpoint:
    """Reads the configurations and headers of a FLUX.1 checkpoint.

    Raises:
        ModelError: a part is missing or damaged, a configuration cannot be understood, or they do not belong together.
    """
    bundle = open_bundle(files, specs(), published(variant))
    checkpoint = FluxCheckpoint(
        bundle,
        variant,
        flow_settings(bundle.scheduler),
    )
    _check(checkpoint)
    return checkpoint


def _check(checkpoint: FluxCheckpoint) -> None:
    bundle, transformer, variant = checkpoint.bundle, checkpoint.transformer, checkpoint.variant
    pooled = bundle.config("text_encoder")["hidden_size"]
    width = bundle.config("text_encoder_2")["d_model"]
    latents = checkpoint.vae["latent_channels"]
    more = {"fill": latents + checkpoint.factor**2, **dict.fromkeys(CONTROLLED, latents)}
    channels = latents + more.get(variant, 0)
    claims: dict[str, tuple[object, str, object]] = {
        "the transformer's in_channels": (transformer["in_channels"], f"what {variant} needs", PATCH**2 * channels),
        "the transformer's guidance_embeds": (transformer["guidance_embeds"], f"{variant}'s", variant != "schnell"),
        "the transformer's joint_attention_dim": (transformer["joint_attention_dim"], "T5's d_model", width),
        "the transformer's pooled_projection_dim": (
            transformer["pooled_projection_dim"],
            "CLIP's hidden_size",
            pooled,
        ),
    }
    check_agreement(bundle.files.path, claims)
