"""Where the runs of a request start: from noise alone, or from a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from latentry._conditioning._controls import NO_CONTROLS, Control, Controls
from latentry._conditioning._mask import ControlMask
from latentry._contract._conditioner import Conditioner
from latentry._contract._inference import inference, normal
from latentry._contract._model import Model
from latentry._discovery import plugin_call
from latentry._generate._batch._finite import all_finite
from latentry._generate._batch._images import to_levels, to_mask, to_pixels
from latentry._numerics._denoised import Denoised
from latentry._numerics._plan import Plan
from latentry._numerics._running._run import Run

if TYPE_CHECKING:
    from latentry._resolve._setup import Setup


class AutoencoderOverflow(Exception):
    """The autoencoder gave values that are not finite."""


@dataclass(frozen=True)
class Start:
    """The start of a request's runs, for all of its batches.

    Attributes:
        plan: of the steps that are taken.
        scale: of the noise, where a run starts from noise alone.
        clean: latents (1, c, h, w) of the picture it starts from; None for noise alone.
        conditioning: what an inpainting network takes of the picture, with batch size 1.
        blend: keeps what is not to be drawn; None without a mask.
        controls: the conditioners that steer the model.
    """

    plan: Plan
    scale: float
    clean: Tensor | None = None
    conditioning: Mapping[str, Tensor] = field(default_factory=dict)
    blend: Blend | None = None
    controls: Controls = NO_CONTROLS

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

    def in_answer(self, answer: Denoised) -> Denoised:
        """Puts the picture back in x₀, for a scheduler that holds the sample itself: its path leads there."""
        return answer.with_x0(torch.where(self.mask, answer.x0, self.clean.to(answer.x0)))

    def __call__(self, run: Run, noise: Tensor) -> None:
        """Blends between two steps; ``noise`` is the run's initial noise."""
        known = self.clean if run.done else run.point.mix(self.clean.expand_as(noise), noise)
        run.replace(torch.where(self.mask, run.sample, known))


def choose_start(setup: Setup, model: Model, conditioners: Sequence[Conditioner] = ()) -> Start:
    """Encodes the picture of a request, where it has one, and prepares its conditioners, one for each control.

    At strength 1 inpainting starts from noise alone, image to image from the picture with the noise of the first
    level.

    Raises:
        AutoencoderOverflow: an encoding is not finite.
    """
    plan, inputs = setup.plan, setup.inputs
    scale, controls = plan.noise_scale(setup.request.initial_noise), _prepared(setup, model, conditioners)
    if inputs.image is None:
        return Start(plan, scale, controls=controls)
    pixels = to_pixels([inputs.image]).to(setup.device)
    with plugin_call(model), inference():
        clean = model.encode(pixels)
    clean = normal(clean)
    conditioning: Mapping[str, Tensor] = {}
    if inputs.mask is None:
        start = Start(plan, scale, clean, controls=controls)
    else:
        mask = to_mask(inputs.mask).to(setup.device)
        if "inpainting" in setup.located.variant.tasks:
            with plugin_call(model), inference():
                shown = model.inpainting(pixels, mask)
            conditioning = {name: normal(tensor) for name, tensor in shown.items()}
        # a latent is drawn where any of its pixels is: what the mask keeps is put back into the picture afterwards
        drawn = adaptive_max_pool2d(mask, clean.shape[-2:]) > 0.5
        from_noise = setup.request.strength == 1.0
        keep, whole = Blend(clean, drawn), plan.scheduler.whole
        plan = replace(plan, hooks=(*plan.hooks, keep.in_answer)) if whole else plan
        start = Start(plan, scale, None if from_noise else clean, conditioning, None if whole else keep, controls)
    if not all_finite((clean, *conditioning.values())):
        raise AutoencoderOverflow
    return start


def _prepared(setup: Setup, model: Model, conditioners: Sequence[Conditioner]) -> Controls:
    prepared = []
    for number, (chosen, conditioner) in enumerate(zip(setup.controls, conditioners, strict=True)):
        picture = to_pixels([chosen.picture]).to(setup.device)
        with plugin_call(conditioner), inference():
            inject = conditioner.prepare(model, picture, chosen.options, number)
        mask = None
        if chosen.mask is not None:
            mask = ControlMask(to_levels(chosen.mask).to(setup.device), chosen.own_mask)
        prepared.append(Control(conditioner, inject, chosen.request, setup.injection_points, mask))
    return Controls(tuple(prepared), len(setup.plan), setup.checkpoint.noise.process.kind == "flow")
