"""A denoiser that is told the guidance scale learns what its teacher says with and without the caption.

Stage one of Meng et al. 2023, arXiv:2210.03142: the student at scale g is to say u + g·(c − u), where the teacher says
c with the caption and u without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentry_shapes._exercises import Exercise
from latentry_shapes.designs import Flux
from latentry_shapes.encoders import States

SCALES = (1.0, 5.0)
"""From which to which guidance scale the student learns."""


@dataclass(frozen=True)
class Distillation:
    """The lessons of one teacher.

    Attributes:
        design: of both networks.
        teacher: a denoiser that was trained at scale 1, with some captions empty.
        unsaid: of each text encoder, the states of an empty caption (1, TOKENS, width).
    """

    design: Flux
    teacher: Any
    unsaid: Sequence[States]

    def __call__(self, student: Any, given: Exercise) -> tuple[Tensor, Tensor]:
        """What the student says at scales of its own, and what it should say; (batch, channels, height, width)."""
        low, high = SCALES
        scales = low + (high - low) * torch.rand(len(given.seen), generator=given.draws)
        said = self.design.say(student, given.seen, given.levels.times, given.told, scales)
        return said, self.target(given, scales)

    @torch.no_grad()
    def target(self, given: Exercise, scales: Tensor) -> Tensor:
        """What the teacher says, guided at the scales (batch,)."""
        seen, times = given.seen, given.levels.times
        unsaid = [_each(one, len(seen)) for one in self.unsaid]
        with_caption = self.design.say(self.teacher, seen, times, given.told).float()
        without = self.design.say(self.teacher, seen, times, unsaid).float()
        return without + scales.view(-1, 1, 1, 1) * (with_caption - without)


def _each(states: States, batch: int) -> States:
    """The same states for every picture."""
    pooled, projected = (part if part is None else part.expand(batch, -1) for part in states[1:])
    return States(states.tokens.expand(batch, -1, -1), pooled, projected)
