"""Pictures to latents and back, through an autoencoder for video: a picture is its single frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

import torch
from torch import Tensor

from latentry import OptionError
from latentry_diffusers.loading.first_weight import FirstWeight

_TILING = (
    *("use_tiling", "use_slicing", "tile_sample_min_height", "tile_sample_min_width"),
    *("tile_sample_stride_height", "tile_sample_stride_width"),
)
"""Attributes in which it keeps its tiling."""


class FrameAutoencoder:
    """diffusers' ``AutoencoderKLQwenImage``; see ``latentry_diffusers.model.autoencoder.PictureCoder``.

    Latents are (raw − mean) / std, by channel. It keeps states of its convolutions while it runs: threads take turns.

    Attributes:
        network: the autoencoder.
    """

    def __init__(self, network: Any) -> None:
        self.network, self._weight, self._turn = network, FirstWeight(network), RLock()

    @torch.no_grad()
    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latents (batch, c, h, w), float32, of pictures (batch, 3, H, W) in −1..1."""
        frames = pixels.to(self._weight.device, self._weight.dtype)[:, :, None]
        with self._turn:
            posterior = self.network.encode(frames).latent_dist
        raw: Tensor = posterior.mode().float()[:, :, 0]
        if noise is not None:
            raw = raw + posterior.std.float()[:, :, 0] * noise.to(raw.device)
        mean, std = self._units(raw)
        return (raw - mean) / std

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (batch, 3, H, W) in −1..1, float32, of latents (batch, c, h, w)."""
        z = latents.to(self._weight.device)
        mean, std = self._units(z)
        raw = (z * std + mean).to(self._weight.dtype)[:, :, None]
        with self._turn:
            frames: Tensor = self.network.decode(raw, return_dict=False)[0]
        return frames[:, :, 0].float()

    @contextmanager
    def tiled(self, side: int | None, *, slicing: bool = False) -> Iterator[None]:
        """Sets tiles of ``side`` pixels, a quarter of them overlap, and slices for a ``with`` block.

        Raises:
            OptionError: the side is not a multiple of 4 latents.
        """
        network, least = self.network, 4 * self.network.spatial_compression_ratio
        if side is not None and (side < least or side % least):
            raise OptionError(f"Tiles cannot be {side} pixels wide.", remedy=f"Give a multiple of {least} pixels.")
        before = {name: getattr(network, name) for name in _TILING}
        try:
            if side is None:
                network.disable_tiling()
            else:
                network.enable_tiling(side, side, side * 3 // 4, side * 3 // 4)
            network.use_slicing = slicing
            yield
        finally:
            for name, value in before.items():
                setattr(network, name, value)

    def _units(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation by channel, (1, c, 1, 1)."""
        config = self.network.config
        mean, std = (torch.tensor(each, device=like.device) for each in (config.latents_mean, config.latents_std))
        return mean.view(1, -1, 1, 1), std.view(1, -1, 1, 1)
