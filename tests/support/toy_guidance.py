"""Guidance methods written for the tests."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from latentry.guidance import COND, UNCOND, Branch, GuidanceMethod, Guide, GuidedQuery
from latentry.solvers import combine


class Carried(NamedTuple):
    """What ``Carrying`` keeps."""

    push: Tensor | None = None
    evaluations: int = 0


class Carrying(GuidanceMethod):
    """Away from uncond in x₀, with a part of the last push: depends on everything a method can be told."""

    Memory: ClassVar[type] = Carried
    part: float = Field(default=0.5, ge=0.0, le=1.0, description="of the last push")

    def guide(self, query: GuidedQuery, memory: Carried) -> Guide:
        """One push."""
        uncond, cond = yield UNCOND, COND
        push = cond.x0 - uncond.x0
        if memory.push is not None:
            push = combine((1.0, push), (self.part, memory.push))
        x0 = combine((1.0, cond.x0), (query.scale - 1.0, push))
        return query.from_x0(x0), Carried(push, memory.evaluations + 1)


class Beside(GuidanceMethod):
    """Plain guidance with a scale of its own, for networks that take the request's as an input."""

    own: float = 2.0

    def guide(self, query: GuidedQuery, memory: NamedTuple) -> Guide:
        """One after the other, with nothing lost by it."""
        (cond,) = yield (COND,)
        (uncond,) = yield (UNCOND,)
        return torch.lerp(uncond.output, cond.output, self.own), memory


class Apart(GuidanceMethod):
    """Away from the weak model."""

    def guide(self, query: GuidedQuery, memory: NamedTuple) -> Guide:
        """Both together."""
        cond, weak = yield COND, Branch(weak_model=True)
        return torch.lerp(weak.output, cond.output, query.scale), memory
