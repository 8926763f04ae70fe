"""Checkpoints whose denoiser is a UNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentry_diffusers.model.checkpoint import BundledCheckpoint
from latentry_diffusers.model.picture_size import check_size


@dataclass(frozen=True)
class UNetCheckpoint(BundledCheckpoint):
    """A checkpoint with a UNet, as in Stable Diffusion 1.x, 2.x and XL."""

    @property
    def unet(self) -> Mapping[str, Any]:
        """Configuration of the UNet."""
        return self.bundle.config("unet")

    @property
    def size(self) -> int:
        """Height and width in pixels of the training pictures."""
        return int(self.unet["sample_size"]) * self.factor

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """See ``latentry.models.Checkpoint``; sides are multiples of 8, as every published UNet needs."""
        least = self.factor * 2 ** (len(self.unet["block_out_channels"]) - 1)
        check_size(width, height, stride=max(8, self.factor), best=self.size, least=least)
        return (int(self.vae.get("latent_channels", 4)), height // self.factor, width // self.factor)

    def shift(self, width: int, height: int) -> float | None:
        """None: the sigma schedule decides."""
        return None
