"""Picture sizes of a UNet and its autoencoder, from their configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry_diffusers.sizes import check_size

Config = Mapping[str, Any]


def pixels_per_latent(vae: Config) -> int:
    """Pixels of one latent's side."""
    return int(2 ** (len(vae["block_out_channels"]) - 1))


def trained_size(unet: Config, vae: Config) -> int:
    """Height and width in pixels of the training pictures."""
    return int(unet["sample_size"]) * pixels_per_latent(vae)


def latent_shape(unet: Config, vae: Config, width: int, height: int) -> tuple[int, int, int]:
    """Channels, height and width of one latent; sides are multiples of 8, as in every UNet that there is.

    Raises:
        OptionError: the model cannot draw that size.
    """
    factor = pixels_per_latent(vae)
    least = factor * 2 ** (len(unet["block_out_channels"]) - 1)
    check_size(width, height, stride=max(8, factor), best=trained_size(unet, vae), least=least)
    return (int(vae.get("latent_channels", 4)), height // factor, width // factor)
