"""Opens a Z-Image checkpoint: first configurations and headers, weights on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentry import ModelFiles
from latentry.models import flow_settings
from latentry_diffusers.bundle.open import open_bundle
from latentry_diffusers.files.configs import check_agreement
from latentry_diffusers.model.checkpoint import TransformerCheckpoint
from latentry_diffusers.model.picture_size import check_size
from latentry_z_image.parts import specs
from latentry_z_image.variants import published

if TYPE_CHECKING:
    import torch

    from latentry_z_image.model import ZImage


@dataclass(frozen=True)
class ZImageCheckpoint(TransformerCheckpoint):
    """A Z-Image checkpoint whose configurations and headers have been read."""

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """The shape of the latents; a side has at most as many tokens as the rotary tables have rows."""
        most = min(self.transformer["axes_lens"][1:]) * self.patch
        check_size(width, height, stride=self.patch, best=self.size, most=most)
        return (int(self.transformer["in_channels"]), height // self.factor, width // self.factor)

    def load(self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None) -> ZImage:
        """Loads the networks; see ``latentry.models.Checkpoint``."""
        from latentry_diffusers.model.load_networks import load_networks
        from latentry_z_image.model import ZImage

        return ZImage(self, load_networks(self, device, dtype, dtypes))


def open_checkpoint(files: ModelFiles, variant: str) -> ZImageCheckpoint:
    """Reads the configurations and headers of a Z-Image checkpoint.

    Raises:
        ModelError: a part is missing or damaged, a configuration cannot be understood, or they do not belong together.
    """
    bundle = open_bundle(files, specs(), published(variant))
    checkpoint = ZImageCheckpoint(bundle, variant, flow_settings(bundle.scheduler))
    transformer = checkpoint.transformer
    claims: dict[str, tuple[object, str, object]] = {
        "the transformer's in_channels": (
            transformer["in_channels"],
            "the autoencoder's latent_channels",
            checkpoint.vae["latent_channels"],
        ),
        "the transformer's cap_feat_dim": (
            transformer["cap_feat_dim"],
            "the text encoder's hidden_size",
            bundle.config("text_encoder")["hidden_size"],
        ),
    }
    check_agreement(bundle.files.path, claims)
    return checkpoint
