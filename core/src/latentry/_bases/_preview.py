"""A cheap stand-in for an autoencoder's decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

SIDE, PICTURES = 128, 8
"""Side in pixels, and number, of the pictures that the map is fitted to; half are patches, half are smooth."""


@dataclass(frozen=True)
class LinearPreview:
    """rgb = weight · latent + bias, for each latent of a picture.

    An autoencoder's latents are close to a linear map of the mean colours of the pixels below them.

    Attributes:
        weight: a row of the latent's channels for each of red, green and blue.
        bias: of each.
    """

    weight: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]

    @classmethod
    def fitted(cls, encode: Callable[[Tensor], Tensor]) -> LinearPreview:
        """The map with the least squared error over pictures of random colours.

        Args:
            encode: latents (batch, channels, h, w) of pictures (batch, 3, height, width) in −1..1.
        """
        pixels = _colours()
        latents = encode(pixels).double().cpu()
        height, width = latents.shape[-2:]
        rgb = adaptive_avg_pool2d(pixels.double(), (height, width))
        inputs, outputs = (each.movedim(1, -1).flatten(0, -2).numpy() for each in (latents, rgb))
        solved = np.linalg.lstsq(np.c_[inputs, np.ones(len(inputs))], outputs, rcond=None)[0]
        return cls(tuple(map(tuple, solved[:-1].T.tolist())), tuple(solved[-1].tolist()))

    def __call__(self, latents: Tensor) -> Tensor:
        """Pictures (batch, 3, h, w) in −1..1, float32, of latents (batch, channels, h, w)."""
        weight, bias = (torch.tensor(each, device=latents.device) for each in (self.weight, self.bias))
        rgb = torch.einsum("oc,bchw->bohw", weight, latents.float()) + bias[:, None, None]
        return rgb.clamp(-1, 1)


def _colours() -> Tensor:
    coarse = torch.rand((PICTURES, 3, 4, 4), generator=torch.Generator().manual_seed(0)) * 2 - 1
    patches, smooth = coarse.chunk(2)
    smooth = interpolate(smooth, size=(SIDE, SIDE), mode="bilinear")
    return torch.cat([interpolate(patches, size=(SIDE, SIDE), mode="nearest"), smooth])
