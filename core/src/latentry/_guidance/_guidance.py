"""Guidance: combines the network's outputs into the one that the solver sees."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from latentry._guidance._evaluate import COND, UNCOND, Branch, Evaluate
from latentry._numerics._processes._point import Query


class Guided(NamedTuple):
    """The guided output, the one with the prompt, and the one without it where it was computed."""

    output: Tensor
    cond: Tensor
    uncond: Tensor | None


class Guidance(Protocol):
    """Combines several outputs into one."""

    @property
    def unconditional(self) -> bool:
        """Whether the unconditional output is ever needed."""
        ...

    def __call__(self, evaluate: Evaluate, query: Query) -> Guided:
        """Evaluates the network as often as it needs for a query."""
        ...


@dataclass(frozen=True)
class ClassifierFree:
    """output = uncond + scale · (cond − uncond) (Ho and Salimans 2022, arXiv:2207.12598, eq. 6, scale = 1 + w).

    Attributes:
        scale: 1 is no guidance.
        rescale: φ, the share of the output whose standard deviation is brought back to that of cond (Lin et al. 2023,
            arXiv:2305.08891, eq. 15 and 16).
        active: the steps that are guided (Kynkäänniemi et al. 2024, arXiv:2404.07724). At all others the output is
            cond, and uncond is not computed.
        always: uncond is computed at every step, for schedulers that need it.
    """

    scale: float
    active: Container[int]
    rescale: float = 0.0
    always: bool = False

    @property
    def unconditional(self) -> bool:
        """See ``Guidance``."""
        return self.always or self.scale != 1.0

    def __call__(self, evaluate: Evaluate, query: Query) -> Guided:
        """See ``Guidance``; both outputs come from one forward pass of twice the batch size."""
        guided = self.scale != 1.0 and query.index in self.active
        if not guided and not self.always:
            (cond,) = evaluate(query, COND)
            return Guided(cond, cond, None)
        uncond, cond = evaluate(query, UNCOND, COND)
        output = torch.lerp(uncond, cond, self.scale) if guided else cond
        if guided and self.rescale > 0.0:
            output = torch.lerp(output, output * (_spread(cond) / _spread(output)), self.rescale)
        return Guided(output, cond, uncond)


@dataclass(frozen=True)
class SkipLayer:
    """output + scale · (cond − cond without some layers), as Stability AI published it with SD3.5 Medium.

    Attributes:
        inner: the guidance it is added to.
        layers: the ones to leave out.
        scale: 0 has no effect.
        active: the steps at which it is added.
    """

    inner: Guidance
    layers: tuple[int, ...]
    scale: float
    active: Container[int]

    @property
    def unconditional(self) -> bool:
        """See ``Guidance``."""
        return self.inner.unconditional

    def __call__(self, evaluate: Evaluate, query: Query) -> Guided:
        """See ``Guidance``."""
        guided = self.inner(evaluate, query)
        if query.index not in self.active:
            return guided
        (weak,) = evaluate(query, Branch(skip_layers=self.layers))
        return guided._replace(output=torch.add(guided.output, guided.cond - weak, alpha=self.scale))


def _spread(x: Tensor) -> Tensor:
    """Standard deviation of each sample."""
    return x.std(dim=tuple(range(1, x.ndim)), keepdim=True)
