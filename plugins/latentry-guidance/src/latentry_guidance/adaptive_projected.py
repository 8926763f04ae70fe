"""Adaptive projected guidance (APG)."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor

from latentry.guidance import COND, UNCOND, GuidanceMethod, Guide, GuidedQuery
from latentry.solvers import combine
from latentry_guidance._vectors import coefficient, norm


class Average(NamedTuple):
    """The running average of the guidance direction in x₀; None before the first evaluation."""

    direction: Tensor | None = None


class AdaptiveProjected(GuidanceMethod):
    """D = D_c + (w − 1)·(Δ_⊥ + η·Δ_∥) (Sadat et al. 2024, arXiv:2410.02416, algorithm 1).

    Δ = D_c − D_u is averaged, shortened to ``threshold``, and split into the part along D_c and the rest; D is the
    predicted x₀. With η = 1, no momentum and no threshold it is classifier-free guidance. The average is taken at every
    evaluation, of which some schedulers have several in a step.
    """

    Memory: ClassVar[type] = Average
    eta: float = Field(
        default=0.0, ge=0.0, le=1.0, description="share that is kept of the guidance along the prediction"
    )
    momentum: float = Field(
        default=-0.5,
        gt=-1.0,
        lt=1.0,
        description="momentum of the average over evaluations; below 0 pushes away from the past",
    )
    threshold: float = Field(
        default=15.0, ge=0.0, description="longest direction, as the norm of a whole latent; 0 for no limit"
    )

    def guide(self, query: GuidedQuery, memory: Average) -> Guide:
        """In x₀."""
        uncond, cond = yield UNCOND, COND
        direction = cond.x0 - uncond.x0
        if memory.direction is not None and self.momentum != 0.0:
            direction = combine((1.0, direction), (self.momentum, memory.direction))
        update = self._shortened(direction)
        parallel = coefficient(update, cond.x0) * cond.x0
        push = combine((1.0, update), (self.eta - 1.0, parallel))
        return query.from_x0(combine((1.0, cond.x0), (query.scale - 1.0, push))), Average(direction)

    def _shortened(self, direction: Tensor) -> Tensor:
        if self.threshold == 0.0:
            return direction
        # a direction of length 0 makes the quotient infinite, and is left as it is
        return direction * (self.threshold / norm(direction)).clamp(max=1.0)
