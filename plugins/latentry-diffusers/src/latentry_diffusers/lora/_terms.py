"""What one adapter does to one layer's weight, with alpha and the request's weight applied.

A layer's weight W is (outputs, columns) here. What an adapter does may depend on W (DoRA and OFT), and even on rows
that belong to other layers of the model, where the file has one layer for several of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import reduce
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from latentry_diffusers.lora._factors import Factors, LowRank
from latentry_diffusers.lora._rotation import Rotation

ReadWeight = Callable[[nn.Module], Tensor]
"""Gives a layer's own weight, which no adapter has changed, as float32 (outputs, columns)."""
T = TypeVar("T")


class Term(Protocol):
    """A change of a weight."""

    def change(self, layer: nn.Module, read: ReadWeight) -> Tensor:
        """What is added to a layer's weight, float32 (outputs, columns)."""
        ...

    def prepared(self, read: ReadWeight) -> Term:
        """The same with what is small computed once; ``change`` gives the same bits while the weights stay."""
        ...

    def weighed(self, weight: float) -> Term:
        """The same adapter, which has a weight of 1, with another one."""
        ...


@dataclass(frozen=True)
class Addition:
    """scale · factors: LoRA, LoHa, LoKr and whole differences."""

    factors: Factors
    scale: float

    def change(self, layer: nn.Module, read: ReadWeight) -> Tensor:
        """The addition, which is the same for every weight."""
        return self.scale * self.factors.matrix()

    def prepared(self, read: ReadWeight) -> Addition:
        """See ``Factors.prepared``."""
        return replace(self, factors=self.factors.prepared())

    def weighed(self, weight: float) -> Addition:
        """Scales the factors."""
        return replace(self, scale=weight * self.scale)


@dataclass(frozen=True)
class Stack:
    """Layers of the model that are one layer in the file.

    Attributes:
        layers: in the order of the file's rows.
        index: the file's rows that belong to the layer that is changed; None for all.
        halves: the two halves of the rows are exchanged in the file.
    """

    layers: tuple[nn.Module, ...]
    index: Tensor | None = None
    halves: bool = False

    def weight(self, read: ReadWeight) -> Tensor:
        """The layers' weights in the file's order of rows."""
        weight = read(self.layers[0]) if len(self.layers) == 1 else torch.cat([read(layer) for layer in self.layers])
        return weight.roll(len(weight) // 2, 0) if self.halves else weight

    def part(self, rows: Tensor) -> Tensor:
        """Selects the rows of the layer that is changed, from rows in the file's order."""
        return rows if self.index is None else rows[self.index]


@dataclass(frozen=True)
class Decomposition:
    """DoRA: W becomes m · (W + ΔW) / ‖W + ΔW‖ (Liu et al. 2024, arXiv:2402.09353, eq. 5).

    The request's weight scales ΔW alone, as in PEFT: the magnitude m holds for any weight.

    Attributes:
        factors: of ΔW, of all rows of the stack; None if only magnitudes were trained.
        scale: of ΔW.
        magnitude: one for each output or, in some of LyCORIS' and OneTrainer's files, for each input.
        outputs: which of the two.
        stack: where the rows are.
        quotient: m / ‖W + ΔW‖; None to compute it.
    """

    factors: Factors | None
    scale: float
    magnitude: Tensor
    outputs: bool
    stack: Stack
    quotient: Tensor | None = None

    def change(self, layer: nn.Module, read: ReadWeight) -> Tensor:
        """The new weight minus the old one."""
        weight = self.stack.weight(read)
        apart = self._changed(weight)
        quotient = self._quotient(apart) if self.quotient is None else self.quotient
        return self.stack.part((apart * quotient).view(weight.shape) - weight)

    def prepared(self, read: ReadWeight) -> Decomposition:
        """With the quotient, and the factors prepared."""
        factors = None if self.factors is None else self.factors.prepared()
        return replace(self, factors=factors, quotient=self._quotient(self._changed(self.stack.weight(read))))

    def weighed(self, weight: float) -> Decomposition:
        """Scales ΔW, on which the quotient depends."""
        return replace(self, scale=weight * self.scale, quotient=None)

    def _changed(self, weight: Tensor) -> Tensor:
        """W + ΔW as (outputs, 1, columns) or (outputs, inputs, places of the kernel)."""
        changed = weight if self.factors is None else weight + self.scale * self.factors.matrix()
        return changed.view(len(weight), -1 if not self.outputs else 1, self._columns(weight))

    def _quotient(self, apart: Tensor) -> Tensor:
        """One for each entry of the magnitude."""
        norms = apart.norm(dim=(1, 2) if self.outputs else (0, 2), keepdim=True)
        quotient: Tensor = self.magnitude.view(norms.shape) / norms.clamp_min(torch.finfo(apart.dtype).tiny)
        return quotient

    def _columns(self, weight: Tensor) -> int:
        return weight.shape[1] if self.outputs else weight.shape[1] // self.magnitude.numel()


@dataclass(frozen=True)
class Turn:
    """OFT: the weight is turned by one rotation after another, each by its share: W + w · (R(W) − W).

    PEFT does not scale rotations; at w = 1 this is what it does, also with several adapters.
    """

    rotations: tuple[Rotation, ...]
    shares: tuple[float, ...]
    stack: Stack

    def change(self, layer: nn.Module, read: ReadWeight) -> Tensor:
        """The turned weight minus the weight."""
        weight = self.stack.weight(read)
        pairs = zip(self.rotations, self.shares, strict=True)
        turned = reduce(lambda now, pair: now + pair[1] * (pair[0].turned(now) - now), pairs, weight)
        return self.stack.part(turned - weight)

    def prepared(self, read: ReadWeight) -> Turn:
        """Its rotations are matrices already."""
        return self

    def weighed(self, weight: float) -> Turn:
        """Turns by another share."""
        return replace(self, shares=tuple(weight * share for share in self.shares))

    def then(self, other: Turn) -> Turn:
        """Both turns as one term, this one first."""
        return replace(self, rotations=self.rotations + other.rotations, shares=self.shares + other.shares)


class Joined(NamedTuple):
    """The changes of one layer by all adapters.

    Attributes:
        product: the sum of all LoRAs, a product whose rank is the sum of theirs; None if there is none.
        others: all other changes; rotations of the same rows follow one another in one term.
    """

    product: LowRank | None
    others: tuple[Term, ...]


def joined(terms: Sequence[Term]) -> Joined:
    """The same changes in fewer terms. Only the order of rotations makes a difference."""
    products: list[tuple[float, LowRank]] = []
    found: list[Term] = []
    turns: dict[object, Turn] = {}
    for term in terms:
        if isinstance(term, Addition) and isinstance(term.factors, LowRank):
            products.append((term.scale, term.factors))
        elif isinstance(term, Turn):
            rows = (term.stack.layers, term.stack.halves)
            turns[rows] = turns[rows].then(term) if rows in turns else term
        else:
            found.append(term)
    return Joined(_sum(products), (*found, *turns.values()))


def _sum(products: Sequence[tuple[float, LowRank]]) -> LowRank | None:
    if not products:
        return None
    up = torch.cat([scale * each.up for scale, each in products], dim=1)
    return LowRank(up, torch.cat([each.down for _, each in products]))


def moved(value: T, device: torch.device) -> T:
    """A term with all its tensors on a device; layers of the model stay where they are."""
    found: Any = value
    if isinstance(value, Tensor):
        found = value.to(device)
    elif isinstance(value, tuple):
        found = tuple(moved(each, device) for each in value)
    elif is_dataclass(value) and not isinstance(value, type):
        found = replace(value, **{each.name: moved(getattr(value, each.name), device) for each in fields(value)})
    return found  # type: ignore[no-any-return]
