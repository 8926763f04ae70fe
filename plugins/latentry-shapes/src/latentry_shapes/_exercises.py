"""What a denoiser is shown at each step of its training."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latentry_shapes._latents import Drawings
from latentry_shapes.designs import Design
from latentry_shapes.encoders import TEXT_ENCODERS, States
from latentry_shapes.objectives import Levels, Objective
from latentry_shapes.reading import captions


@dataclass(frozen=True)
class Exercise:
    """One batch.

    Attributes:
        seen: noisy latents, a masked design's with the mask and the masked latents behind.
        levels: how noisy.
        told: what each text encoder makes of the captions.
        target: what the denoiser should say.
        draws: the step's random stream, for what else is drawn.
    """

    seen: Tensor
    levels: Levels
    told: Sequence[States]
    target: Tensor
    draws: torch.Generator


@dataclass(frozen=True)
class Exercises:
    """The same batch for the same step, whenever it is asked for.

    Attributes:
        design: of the denoiser.
        encoders: text encoders that can read, by name.
        drawings: what is drawn from.
        objective: what the denoiser should say.
        batch: how many at a time.
        seed: of all draws.
    """

    design: Design
    encoders: Mapping[str, nn.Module]
    drawings: Drawings
    objective: Objective
    batch: int
    seed: int

    @torch.no_grad()
    def read(self, prompts: Sequence[str]) -> list[States]:
        """What each text encoder makes of the prompts."""
        known = {name: TEXT_ENCODERS[name] for name in self.design.encoders}
        return [each.read(self.encoders[name], each.ids(prompts)) for name, each in known.items()]

    def __call__(self, step: int) -> Exercise:
        """The batch of a step."""
        rng, draws = random.Random(f"{self.seed} denoiser {step}"), torch.Generator().manual_seed(step)
        chosen = [rng.randrange(len(self.drawings.scenes)) for _ in range(self.batch)]
        said = self.read(list(captions([self.drawings.scenes[i] for i in chosen], rng)))
        levels = self.objective.draw(self.batch, draws)
        clean = self.drawings.latents[chosen]
        noise = torch.randn(clean.shape, generator=draws)
        seen = levels.alpha * clean + levels.sigma * noise
        if self.drawings.around is not None:
            seen = torch.cat([seen, self.drawings.around[chosen]], dim=1)
        told = self.design.lesson(said, draws)
        return Exercise(seen, levels, told, self.objective.target(clean, noise, levels), draws)
