"""The network at one query, asked branch by branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from latentry._contract._conditioning import Conditioning
from latentry._contract._model import Model
from latentry._numerics._processes._point import Query


@dataclass(frozen=True)
class Branch:
    """One way to ask the network.

    Attributes:
        negative: with the negative prompt instead of the prompt.
        skip_layers: without these layers.
    """

    negative: bool = False
    skip_layers: tuple[int, ...] = ()


COND = Branch()
UNCOND = Branch(negative=True)


class Evaluate(Protocol):
    """What guidance asks."""

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        """The network's outputs, one for each branch, in the dtype of the sample."""
        ...


class Batch:
    """The pictures of one batch and what the network is told for each.

    Branches that leave out the same layers go through the network together, pictures whose prompts are of another
    length apart: filling up a prompt would change its picture.

    Args:
        model: the network.
        cond: for each picture what its prompt says, each of batch 1.
        uncond: likewise for the negative prompt.
    """

    def __init__(self, model: Model, cond: Sequence[Conditioning], uncond: Sequence[Conditioning]) -> None:
        self._model = model
        self._told = {False: cond, True: uncond}
        self._groups: dict[tuple[bool, ...], list[tuple[list[int], Conditioning]]] = {}

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        """See ``Evaluate``."""
        found: dict[Branch, Tensor] = {}
        for layers in dict.fromkeys(branch.skip_layers for branch in branches):
            together = [branch for branch in branches if branch.skip_layers == layers]
            both = self._predict(query, tuple(branch.negative for branch in together), layers)
            found |= zip(together, both.to(query.x.dtype).chunk(len(together)), strict=True)
        return tuple(found[branch] for branch in branches)

    def _predict(self, query: Query, negative: tuple[bool, ...], layers: tuple[int, ...]) -> Tensor:
        x = torch.cat([query.input.to(self._model.dtype)] * len(negative))
        outputs: list[tuple[int, Tensor]] = []
        for rows, told in self._grouped(negative):
            some = x if len(rows) == len(x) else x[rows]
            output = self._model.predict(some, query.timestep, told, skip_layers=layers)
            if len(rows) == len(x):
                return output
            outputs += zip(rows, output, strict=True)
        return torch.stack([output for _, output in sorted(outputs, key=lambda pair: pair[0])])

    def _grouped(self, negative: tuple[bool, ...]) -> list[tuple[list[int], Conditioning]]:
        """Rows that fit together, with their conditioning joined once and kept for the next query."""
        if negative not in self._groups:
            told = [row for side in negative for row in self._told[side]]
            alike: dict[object, list[int]] = {}
            for index, row in enumerate(told):
                alike.setdefault(row.shapes, []).append(index)
            self._groups[negative] = [(rows, Conditioning.stacked([told[i] for i in rows])) for rows in alike.values()]
        return self._groups[negative]
