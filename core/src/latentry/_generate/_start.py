"""Where the runs of a request start: from noise alone, or from a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from latentry._contract._model import Model
from latentry._generate._images import to_mask, to_pixels
from latentry._numerics._plan import Plan
from latentry._numerics._run import Run

if TYPE_CHECKING:
    from latentry._resolve._setup import Setup


@dataclass(frozen=True)
class Start:
    """The start of a request's runs, for all of its batches.

    Attributes:
        plan: of the steps that are taken.
        scale: of the noise, where a run starts from noise alone.
        clean: latents (1, c, h, w) of the picture it starts from; None for noise alone.
        conditioning: what an inpainting network takes of the picture, with batch size 1.
        blend: keeps what is not to be drawn, for all other networks.
    """

    plan: Plan
    scale: float
    clean: Tensor | None = None
    conditioning: Mapping[str, Tensor] = field(default_factory=dict)
    blend: Blend | None = None

    def sample(self, noise: Tensor) -> Tensor:
        """The sample at the plan's first level, from standard normal noise (batch, c, h, w)."""
        if self.clean is None:
            return noise * self.scale
        return self.plan.points[0].mix(self.clean.expand_as(noise), noise)


@dataclass(frozen=True)
class Blend:
    """Puts the picture, noised as the sample is, back where nothing is to be drawn (Lugmayr et al. 2022, RePaint,
    arXiv:2201.09865, eq. 8, with one noise throughout); after the last step the picture itself.

    Attributes:
        clean: latents (1, c, h, w) of the picture.
        mask: (1, 1, h, w), True where the network draws.
    """

    clean: Tensor
    mask: Tensor

    def __call__(self, run: Run, noise: Tensor) -> None:
        """Blends between two steps; ``noise`` is the run's initial noise."""
        known = self.clean if run.done else run.point.mix(self.clean.expand_as(noise), noise)
        run.replace(torch.where(self.mask, run.sample, known))


def choose_start(setup: Setup, model: Model) -> Start:
    """Encodes the picture of a request, where it has one.

    At strength 1 inpainting starts from noise alone, image to image from the picture with the noise of the first
    level.
    """
    plan, inputs = setup.plan, setup.inputs
    scale = plan.noise_scale(setup.request.initial_noise)
    if inputs.image is None:
        return Start(plan, scale)
    pixels = to_pixels([inputs.image]).to(setup.device)
    if inputs.mask is None:
        return Start(plan, scale, model.encode(pixels))
    mask, from_noise = to_mask(inputs.mask).to(setup.device), setup.request.strength == 1.0
    if "inpainting" in setup.located.variant.tasks:
        return Start(plan, scale, None if from_noise else model.encode(pixels), model.inpainting(pixels, mask))
    clean = model.encode(pixels)
    drawn = interpolate(mask, size=clean.shape[-2:]) > 0.5  # the nearest pixel's, as in diffusers
    return Start(plan, scale, None if from_noise else clean, blend=Blend(clean, drawn))
