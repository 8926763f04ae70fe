"""What a denoiser is trained to say, at which noise levels, and how much each counts.

Whatever it says, an error in it is counted as the error in x₀ that follows, weighted by clamp(SNR, 0.4, 5). The upper
bound is that of Hang et al. 2023, arXiv:2303.09556; the lower one makes the noisiest levels count, where background
and places are decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["epsilon", "v_prediction", "flow"]
NOISY = 600
"""Half of a variance-preserving denoiser's timesteps are drawn from here on."""
SHIFT = 3.0
"""Of the times of a flow denoiser, towards noise, as in SD3 (Esser et al. 2024, arXiv:2403.03206, eq. 23)."""


@dataclass(frozen=True)
class Levels:
    """Noise levels of a batch: x = alpha·x₀ + sigma·noise, each (batch, 1, 1, 1); times (batch,) for the network."""

    alpha: Tensor
    sigma: Tensor
    times: Tensor


@dataclass(frozen=True)
class Objective:
    """What a denoiser says of x = alpha·x₀ + sigma·noise.

    Attributes:
        kind: the noise; v = alpha·noise − sigma·x₀; or, on straight paths, noise − x₀.
        cumulative: alpha² of the variance-preserving timesteps, (1000,); unused on straight paths.
    """

    kind: Kind
    cumulative: Tensor

    def draw(self, batch: int, draws: torch.Generator) -> Levels:
        """Noise levels to train at. Times are 0..1000 in either process."""
        if self.kind == "flow":
            even = torch.rand(batch, generator=draws)
            sigma = SHIFT * even / (1 + (SHIFT - 1) * even)
            return Levels((1 - sigma).view(-1, 1, 1, 1), sigma.view(-1, 1, 1, 1), 1000 * sigma)
        times = torch.randint(0, 1000, (batch,), generator=draws)
        noisy = torch.randint(NOISY, 1000, (batch,), generator=draws)
        times = torch.where(torch.rand(batch, generator=draws) < 0.5, noisy, times)
        power = self.cumulative[times].view(-1, 1, 1, 1)
        return Levels(power.sqrt(), (1 - power).sqrt(), times)

    def target(self, clean: Tensor, noise: Tensor, levels: Levels) -> Tensor:
        """What it should say."""
        if self.kind == "epsilon":
            return noise
        if self.kind == "v_prediction":
            return levels.alpha * noise - levels.sigma * clean
        return noise - clean

    def loss(self, said: Tensor, target: Tensor, levels: Levels) -> Tensor:
        """The mean squared error, each level weighted as the module says."""
        snr = (levels.alpha / levels.sigma).square()
        follows = 1 / snr if self.kind == "epsilon" else levels.sigma.square()
        wrong = (said - target).square()
        return (snr.clamp(0.4, 5) * follows * wrong).mean()
