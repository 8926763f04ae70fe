"""A cheap stand-in for an autoencoder's decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, conv2d, pad, unfold

SIDE, PICTURES, BOXES = 64, 96, 3
"""Side in pixels and number of the pictures that the map is fitted to, and boxes of one colour on each."""
SMALLEST = 1e-3
"""Directions of the latents that vary less than this share of the largest are left out of the fit."""


@dataclass(frozen=True)
class LinearPreview:
    """The mean colour of the pixels below each latent, as a linear map of the latent and its eight neighbours.

    Attributes:
        weight: (3, channels, 3, 3).
        bias: of red, green and blue.
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def fitted(cls, encode: Callable[[Tensor], Tensor], decode: Callable[[Tensor], Tensor]) -> LinearPreview:
        """The map with the least squared error over boxes of random colours, there and back.

        Args:
            encode: latents (batch, channels, h, w) of pictures (batch, 3, height, width) in −1..1.
            decode: the other way.
        """
        latents = encode(_boxes())
        height, width = latents.shape[-2:]
        rgb = adaptive_avg_pool2d(decode(latents).clamp(-1, 1), (height, width))
        around = unfold(_framed(latents), 3).movedim(1, -1).flatten(0, 1).double().cpu().numpy()
        inputs = np.c_[around, np.ones(len(around))]
        outputs = rgb.flatten(2).movedim(1, -1).flatten(0, 1).double().cpu().numpy()
        solved = np.linalg.lstsq(inputs, outputs, rcond=SMALLEST)[0].T.tolist()
        with torch.inference_mode(False):  # it is kept
            table = torch.tensor(solved)
            return cls(table[:, :-1].reshape(3, -1, 3, 3), table[:, -1].clone())

    def __call__(self, latents: Tensor) -> Tensor:
        """Pictures (batch, 3, h, w) in −1..1, float32, of latents (batch, channels, h, w)."""
        weight, bias = self.weight.to(latents.device), self.bias.to(latents.device)
        return conv2d(_framed(latents.float()), weight, bias).clamp(-1, 1)


def _framed(latents: Tensor) -> Tensor:
    return pad(latents, (1, 1, 1, 1), mode="replicate")


def _boxes() -> Tensor:
    """Pictures (batch, 3, height, width) in −1..1."""
    drawn = np.random.default_rng(0)
    pictures = np.empty((PICTURES, 3, SIDE, SIDE), dtype=np.float32)
    for picture in pictures:
        picture[:] = _colour(drawn)
        for _ in range(BOXES):
            top, left = drawn.integers(0, SIDE - 8, 2)
            height, width = drawn.integers(8, SIDE // 2, 2)
            picture[:, top : top + height, left : left + width] = _colour(drawn)
    return torch.from_numpy(pictures)


def _colour(drawn: np.random.Generator) -> np.ndarray:
    """Any colour, a pure one, or black or white; (3, 1, 1)."""
    colour, kind = drawn.uniform(-1, 1, (3, 1, 1)), drawn.uniform()
    return np.sign(colour if kind < 0.4 else colour[:1]) if kind < 0.6 else colour
