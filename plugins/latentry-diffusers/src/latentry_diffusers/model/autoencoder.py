"""Pictures to latents and back, through diffusers' autoencoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from latentry import OptionError
from latentry_diffusers.loading.first_weight import FirstWeight

_TILING = ("use_tiling", "use_slicing", "tile_sample_min_size", "tile_latent_min_size")
"""Attributes in which an ``AutoencoderKL`` keeps its tiling."""


class PictureCoder(Protocol):
    """What a model asks of its autoencoder; see ``Autoencoder`` for each method."""

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor: ...

    def decode(self, latents: Tensor) -> Tensor: ...

    def tiled(self, side: int | None, *, slicing: bool = False) -> AbstractContextManager[None]: ...


class LatentSpace(Protocol):
    """How a denoiser's latents come of an autoencoder's own: (fold(raw) − shift)·scale, of about unit variance."""

    def fold(self, raw: Tensor) -> Tensor:
        """The autoencoder's latents arranged as the denoiser has them: (batch, channels, height, width)."""
        ...

    def unfold(self, latents: Tensor) -> Tensor:
        """The inverse of ``fold``."""
        ...

    def units(self, like: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """Shift and scale, as numbers or by channel, for latents such as these."""
        ...


class AsConfigured:
    """Latents as ``AutoencoderKL`` has them, in the units that its configuration says.

    These are ``shift_factor`` and ``scaling_factor``, or by channel ``latents_mean`` and
    ``scaling_factor / latents_std``.

    Args:
        config: of the autoencoder.
    """

    def __init__(self, config: Any) -> None:
        self._config = config

    def fold(self, raw: Tensor) -> Tensor:
        """See ``LatentSpace``."""
        return raw

    def unfold(self, latents: Tensor) -> Tensor:
        """See ``LatentSpace``."""
        return latents

    def units(self, like: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """See ``LatentSpace``."""
        config = self._config
        mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if mean is None or std is None:
            return config.shift_factor or 0.0, config.scaling_factor
        by_channel = [torch.tensor(values, device=like.device).view(1, -1, 1, 1) for values in (mean, std)]
        return by_channel[0], config.scaling_factor / by_channel[1]


class Autoencoder:
    """diffusers' ``AutoencoderKL`` and its like, in the dtype it was loaded in.

    Attributes:
        network: the ``AutoencoderKL``.

    Args:
        network: the same.
        space: how its latents are arranged and scaled; None for what its configuration says.
    """

    def __init__(self, network: Any, space: LatentSpace | None = None) -> None:
        self.network, self._weight = network, FirstWeight(network)
        self._space = space or AsConfigured(network.config)

    @torch.no_grad()
    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latents (batch, c, h, w), float32, of pictures (batch, 3, H, W) in −1..1.

        Args:
            pixels: the pictures.
            noise: standard normal, of the latents' shape, for a sample of the posterior; None gives its mode.
        """
        posterior = self.network.encode(pixels.to(self._weight.device, self._weight.dtype)).latent_dist
        raw = self._space.fold(posterior.mode().float())
        if noise is not None:
            raw = raw + self._space.fold(posterior.std.float()) * noise.to(raw.device)
        shift, scale = self._space.units(raw)
        return (raw - shift) * scale

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (batch, 3, H, W) in −1..1, float32, of latents (batch, c, h, w)."""
        z = latents.to(self._weight.device)
        shift, scale = self._space.units(z)
        raw = self._space.unfold(z / scale + shift)
        pixels: Tensor = self.network.decode(raw.to(self._weight.dtype), return_dict=False)[0]
        return pixels.float()

    def tile(self, side: int | None) -> None:
        """Processes larger pictures in overlapping tiles of ``side`` pixels, blended at the seams.

        Memory then depends on the tile instead of the picture. The result differs slightly from that of the whole
        picture, since normalisation and attention see one tile at a time. None turns tiling off.

        Raises:
            OptionError: the side is not a multiple of 4 latents.
        """
        if side is None:
            self.network.disable_tiling()
            return
        least = 4 * 2 ** (len(self.network.config.block_out_channels) - 1)  # a quarter of a tile is the overlap
        if side < least or side % least:
            raise OptionError(f"Tiles cannot be {side} pixels wide.", remedy=f"Give a multiple of {least} pixels.")
        self.network.tile_sample_min_size = side
        self.network.tile_latent_min_size = 4 * side // least
        self.network.enable_tiling()

    def slice(self, on: bool) -> None:
        """Processes the pictures of a batch one after another, which takes less memory, or all at once."""
        self.network.enable_slicing() if on else self.network.disable_slicing()

    @contextmanager
    def tiled(self, side: int | None, *, slicing: bool = False) -> Iterator[None]:
        """Sets tiling and slicing for a ``with`` block; see ``tile`` and ``slice``."""
        network = self.network
        before = {name: getattr(network, name) for name in _TILING}
        try:
            self.tile(side)
            self.slice(slicing)
            yield
        finally:
            for name, value in before.items():
                setattr(network, name, value)
