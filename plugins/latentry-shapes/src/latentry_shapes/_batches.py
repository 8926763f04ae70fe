"""The batches that a denoiser is trained on."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latentry_shapes._latents import MASKS, Drawings
from latentry_shapes.designs import Design
from latentry_shapes.encoders import TEXT_ENCODERS, States
from latentry_shapes.objectives import Levels, Objective
from latentry_shapes.text_training import captions


@dataclass(frozen=True)
class Batch:
    """One batch.

    Attributes:
        inputs: noisy latents, (batch, channels, 16, 16); for an inpainting model followed by the mask and the latents
            of the masked picture, (batch, 2 * channels + 1, 16, 16).
        levels: their noise levels.
        states: the output of each text encoder for the captions.
        target: what the denoiser should predict, (batch, channels, 16, 16).
        generator: the random stream of this step.
        chosen: which drawings they are of.
        prompts: their captions.
        mask: for an inpainting model, (batch, 1, 16, 16), 1 where it draws and 0 where it keeps the picture.
    """

    inputs: Tensor
    levels: Levels
    states: Sequence[States]
    target: Tensor
    generator: torch.Generator
    chosen: Sequence[int]
    prompts: Sequence[str]
    mask: Tensor | None = None


@torch.no_grad()
def encode(design: Design, encoders: Mapping[str, nn.Module], prompts: Sequence[str]) -> list[States]:
    """The output of each text encoder of a design for the prompts."""
    known = {name: TEXT_ENCODERS[name] for name in design.encoders}
    return [each.encode(encoders[name], each.ids(prompts)) for name, each in known.items()]


@dataclass(frozen=True)
class Batches:
    """Makes the batch of any step, the same one each time.

    Attributes:
        design: of the denoiser.
        encoders: trained text encoders, by name.
        drawings: what the batches are drawn from.
        objective: what the denoiser should predict.
        size: of a batch.
        seed: of all random choices.
    """

    design: Design
    encoders: Mapping[str, nn.Module]
    drawings: Drawings
    objective: Objective
    size: int
    seed: int

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        rng, generator = random.Random(f"{self.seed} denoiser {step}"), torch.Generator().manual_seed(step)
        chosen = [rng.randrange(len(self.drawings.scenes)) for _ in range(self.size)]
        scenes = [self.drawings.scenes[i] for i in chosen]
        prompts = list(captions(scenes, rng, self.design.no_background))
        states = encode(self.design, self.encoders, prompts)
        levels = self.objective.draw(self.size, generator)
        clean = self.drawings.latents[chosen]
        noise = torch.randn(clean.shape, generator=generator)
        inputs, mask = levels.alpha * clean + levels.sigma * noise, None
        if self.drawings.masked is not None:
            masked = self.drawings.masked[chosen, [rng.randrange(MASKS) for _ in chosen]]
            inputs, mask = torch.cat([inputs, masked], dim=1), masked[:, :1]
        states = list(self.design.training_states(states, generator))
        target = self.objective.target(clean, noise, levels)
        return Batch(inputs, levels, states, target, generator, chosen, prompts, mask)
