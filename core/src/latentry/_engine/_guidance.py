"""Guidance: how answers of the network become the one a solver sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from latentry._engine._model import Conditioning, Model
from latentry._numerics._point import Query


class Guided(NamedTuple):
    """The guided output, and the unguided one where it was computed."""

    output: Tensor
    uncond: Tensor | None


@dataclass(frozen=True)
class ClassifierFree:
    """output = uncond + scale · (cond − uncond) (Ho and Salimans 2022, arXiv:2207.12598, eq. 6, scale = 1 + w).

    Attributes:
        scale: 1 is no guidance, and then the unconditional output is computed only if asked for.
        always: compute the unconditional output whatever the scale, for schedulers that need it.
    """

    scale: float
    always: bool = False

    @property
    def unconditional(self) -> bool:
        """Whether the unconditional output is computed."""
        return self.always or self.scale != 1.0

    def __call__(self, model: Model, query: Query, cond: Conditioning, uncond: Conditioning) -> Guided:
        """Evaluates the network once, on a double batch where both outputs are needed."""
        x = query.input.to(model.dtype)
        if not self.unconditional:
            return Guided(model.predict(x, query.timestep, cond), None)
        both = model.predict(torch.cat([x, x]), query.timestep, uncond.joined(cond))
        without, wanted = both.to(query.x.dtype).chunk(2)
        return Guided(torch.lerp(without, wanted, self.scale), without)
