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
        """The shape of one latent; sides in pixels must be multiples of 8. See ``latentry.models.Checkpoint``."""
        least = self.factor * 2 ** (len(self.unet["block_out_channels"]) - 1)
        check_size(width, height, stride=max(8, self.factor), best=self.size, least=least)
        return (int(self.vae.get("latent_channels", 4)), height // self.factor, width // self.factor)

    @property
    def attention_blocks(self) -> int:
        """The number of transformer blocks: down, middle and up. See ``latentry.models.ChangesAttention``."""
        unet = self.unet
        down, layers = unet["down_block_types"], int(unet.get("layers_per_block", 2))
        depth = unet.get("transformer_layers_per_block", 1)
        depths = [depth] * len(down) if isinstance(depth, int) else list(depth)
        on_the_way = [
            (layers + up) * deep
            for kinds, order, up in ((down, depths, 0), (unet["up_block_types"], depths[::-1], 1))
            for kind, deep in zip(kinds, order, strict=True)
            if "CrossAttn" in kind
        ]
        middle = depths[-1] if "CrossAttn" in (unet.get("mid_block_type") or "UNetMidBlock2DCrossAttn") else 0
        return int(sum(on_the_way) + middle)

    def shift(self, width: int, height: int) -> float | None:
        """Returns None: the sigma schedule decides."""
        return None
