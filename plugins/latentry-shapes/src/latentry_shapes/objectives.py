"""What a denoiser is trained to predict, at which noise levels, and how much an error at each of them weighs.

Whatever the denoiser predicts, an error counts as the error in x₀ that follows from it, weighted by clamp(SNR, 0.4, 5).
The upper bound is that of Hang et al. 2023, arXiv:2303.09556. The lower one gives weight to the noisiest levels, where
the background and the places of things are decided. Where an inpainting model keeps the picture, the upper bound is 50:
there x₀ can be read from the input, and the least noisy levels decide how exactly it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["epsilon", "v_prediction", "flow"]
NOISY = 600
"""The timestep from which a share of a variance-preserving denoiser's timesteps is drawn; the rest is uniform."""
LEAST, MOST, MOST_KEPT = 0.4, 5.0, 50.0
"""Bounds of the weight of an error in x₀; the last is the upper bound where an inpainting model keeps the picture."""
SHIFT = 3.0
"""Shift of a flow denoiser's times towards noise, as in SD3 (Esser et al. 2024, arXiv:2403.03206, eq. 23)."""


@dataclass(frozen=True)
class Levels:
    """Noise levels of a batch, for x = alpha·x₀ + sigma·noise.

    Attributes:
        alpha: (batch, 1, 1, 1).
        sigma: (batch, 1, 1, 1).
        times: (batch,), what the denoiser is given, 0 to 1000.
    """

    alpha: Tensor
    sigma: Tensor
    times: Tensor


@dataclass(frozen=True)
class Objective:
    """What a denoiser predicts from x = alpha·x₀ + sigma·noise.

    Attributes:
        kind: ``epsilon``: the noise; ``v_prediction``: alpha·noise − sigma·x₀; ``flow``: noise − x₀.
        cumulative: alpha² of the variance-preserving timesteps, (1000,); unused for ``flow``.
        noisy: share of the timesteps that are drawn from ``NOISY`` on; unused for ``flow``.
    """

    kind: Kind
    cumulative: Tensor
    noisy: float = 0.5

    def draw(self, batch: int, generator: torch.Generator) -> Levels:
        """Random noise levels to train at."""
        if self.kind == "flow":
            even = torch.rand(batch, generator=generator)
            sigma = SHIFT * even / (1 + (SHIFT - 1) * even)
            return Levels((1 - sigma).view(-1, 1, 1, 1), sigma.view(-1, 1, 1, 1), 1000 * sigma)
        times = torch.randint(0, 1000, (batch,), generator=generator)
        noisy = torch.randint(NOISY, 1000, (batch,), generator=generator)
        times = torch.where(torch.rand(batch, generator=generator) < self.noisy, noisy, times)
        power = self.cumulative[times].view(-1, 1, 1, 1)
        return Levels(power.sqrt(), (1 - power).sqrt(), times)

    def target(self, clean: Tensor, noise: Tensor, levels: Levels) -> Tensor:
        """What the denoiser should predict; the shape of ``clean``."""
        if self.kind == "epsilon":
            return noise
        if self.kind == "v_prediction":
            return levels.alpha * noise - levels.sigma * clean
        return noise - clean

    def loss(self, predicted: Tensor, target: Tensor, levels: Levels, mask: Tensor | None = None) -> Tensor:
        """The weighted mean squared error; see the module for the weights.

        Args:
            predicted: the denoiser's output, (batch, channels, height, width).
            target: what it should be.
            levels: noise levels of the batch.
            mask: (batch, 1, height, width), 1 where an inpainting model draws and 0 where it keeps the picture.
        """
        snr = (levels.alpha / levels.sigma).square()
        in_x0 = 1 / snr if self.kind == "epsilon" else levels.sigma.square()
        most = torch.tensor(MOST) if mask is None else torch.where(mask > 0.5, MOST, MOST_KEPT)
        weight = snr.clamp(min=LEAST).minimum(most)
        return (weight * in_x0 * (predicted - target).square()).mean()
