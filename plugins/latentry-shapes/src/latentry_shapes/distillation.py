"""Targets that a trained denoiser computes, in place of the noise that was drawn.

``Distillation`` puts guidance into a denoiser that takes the guidance scale as an input. This is stage one of Meng et
al. 2023, arXiv:2210.03142. At scale g the student learns to predict u + g·(c − u), where the teacher predicts c with
the caption and u without.

``Teacher`` lets a network of another architecture learn what a finished model predicts. What the teacher predicts is
close to the mean of what was drawn, so that the gradients are much less noisy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from latentry_shapes._batches import Batch, encode
from latentry_shapes.designs import Design, Flux
from latentry_shapes.encoders import States

SCALES = (1.0, 5.0)
"""Lowest and highest guidance scale that the student learns."""


@dataclass(frozen=True)
class Distillation:
    """What the student of one teacher is trained on.

    Attributes:
        design: of both networks.
        teacher: a denoiser that was trained at scale 1, with some captions empty.
        unconditional: each text encoder's states for an empty caption, for a batch of 1.
    """

    design: Flux
    teacher: Any
    unconditional: Sequence[States]

    def __call__(self, student: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """The student's prediction at random scales, and its target: both (batch, channels, height, width)."""
        low, high = SCALES
        scales = low + (high - low) * torch.rand(len(batch.inputs), generator=batch.generator)
        predicted = self.design.predict(student, batch.inputs, batch.levels.times, batch.states, scales)
        return predicted, self.target(batch, scales)

    @torch.no_grad()
    def target(self, batch: Batch, scales: Tensor) -> Tensor:
        """The teacher's prediction, guided at the scales (batch,)."""
        inputs, times = batch.inputs, batch.levels.times
        unconditional = [_expanded(one, len(inputs)) for one in self.unconditional]
        conditional = self.design.predict(self.teacher, inputs, times, batch.states).float()
        without = self.design.predict(self.teacher, inputs, times, unconditional).float()
        return without + scales.view(-1, 1, 1, 1) * (conditional - without)


def _expanded(states: States, batch: int) -> States:
    """The same states for each picture of a batch."""
    tokens, *rest = states
    others = (part if part is None else part.expand(batch, *part.shape[1:]) for part in rest)
    return States(tokens.expand(batch, -1, -1), *others)


@dataclass(frozen=True)
class Teacher:
    """A finished model with the same autoencoder and the same kind of prediction.

    Attributes:
        design: of the model.
        denoiser: its denoiser.
        encoders: its text encoders, by name.
    """

    design: Design
    denoiser: Any
    encoders: Mapping[str, nn.Module]

    @torch.no_grad()
    def target(self, batch: Batch) -> Tensor:
        """What it predicts for the batch, from the captions as its own text encoders read them."""
        states = encode(self.design, self.encoders, batch.prompts)
        return self.design.predict(self.denoiser, batch.inputs, batch.levels.times, states).float()
