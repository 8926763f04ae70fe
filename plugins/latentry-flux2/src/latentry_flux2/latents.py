"""FLUX.2's latents: the autoencoder's own in squares of 2 × 2, normalised by the statistics that it keeps of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from latentry_flux2.layout import PATCH

PICTURE, REFERENCES = 0, 10
"""The first coordinate of the picture's tokens, and what those of the references count up by."""


class Patches:
    """How the denoiser's latents come of the autoencoder's; see ``latentry_diffusers.model.autoencoder.LatentSpace``.

    Args:
        vae: diffusers' ``AutoencoderKLFlux2``.
    """

    def __init__(self, vae: Any) -> None:
        self._statistics, self._epsilon = vae.bn, vae.config.batch_norm_eps

    def fold(self, raw: Tensor) -> Tensor:
        """(batch, c, h, w) as (batch, 4·c, h/2, w/2), channel by channel, row by row."""
        return pixel_unshuffle(raw, PATCH)

    def unfold(self, latents: Tensor) -> Tensor:
        """The inverse of ``fold``."""
        return pixel_shuffle(latents, PATCH)

    def units(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and the inverse of the standard deviation, by channel, (1, 4·c, 1, 1)."""
        kept = (self._statistics.running_mean, self._statistics.running_var)
        mean, variance = (each.to(like).view(1, -1, 1, 1) for each in kept)
        return mean, torch.rsqrt(variance + self._epsilon)


def pack(latents: Tensor) -> Tensor:
    """Tokens (batch, h·w, c), row by row, of latents (batch, c, h, w)."""
    return latents.flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """Latents (batch, c, height, width) of tokens (batch, height · width, c)."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, height, width)


def picture_positions(height: int, width: int, device: torch.device, number: int = 0) -> Tensor:
    """(first, row, column, 0) of each token of a picture: (tokens, 4).

    Args:
        height: in tokens.
        width: likewise.
        device: where they are needed.
        number: of a reference, from 1; 0 for the picture that is drawn.
    """
    first = torch.tensor([PICTURE + REFERENCES * number], device=device)
    rows, columns, last = (torch.arange(side, device=device) for side in (height, width, 1))
    return torch.cartesian_prod(first, rows, columns, last)


def text_positions(tokens: int, device: torch.device) -> Tensor:
    """(0, 0, 0, place) of each token of a text: (tokens, 4)."""
    places = torch.arange(tokens, device=device)
    return torch.nn.functional.pad(places[:, None], (3, 0))
