"""Noise that the caller gives, in place of what the engine draws from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor

from latentry._errors import OptionError
from latentry._numerics._running._noise import NoiseSource


@dataclass(frozen=True)
class GivenNoise:
    """The caller's noise; nothing by default.

    Attributes:
        latents: standard normal initial noise, (pictures of the request, channels, height, width).
        draws: for stochastic schedulers.
    """

    latents: Tensor | None = None
    draws: NoiseSource | None = None

    def digest(self, index: int) -> str:
        """sha256 of the shape, dtype and values of a picture's initial noise; empty where the engine draws it."""
        if self.latents is None:
            return ""
        numbers = self.latents[index].cpu().contiguous()
        content = numbers.view(torch.uint8).numpy().tobytes()
        return sha256(f"{numbers.dtype} {tuple(numbers.shape)} ".encode() + content).hexdigest()

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuses initial noise that does not fit.

        Raises:
            OptionError: it has another shape.
        """
        if self.latents is not None and tuple(self.latents.shape) != shape:
            raise OptionError(
                f"The initial latents have shape {tuple(self.latents.shape)}.",
                why=f"This request needs {shape}.",
                remedy="Give one standard normal latent for each picture.",
            )
