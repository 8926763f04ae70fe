"""The network's outputs for one query: with the prompt, without it, without some layers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from latentry._conditioning._controls import NO_CONTROLS, Controls
from latentry._contract._attention_change import AttentionChange
from latentry._contract._caching._cached_pass import CachePart
from latentry._contract._conditioning import Conditioning
from latentry._contract._model import Model
from latentry._guidance._changing import UNCHANGING, Changing
from latentry._guidance._encoded_prompt import EncodedPrompt
from latentry._guidance._rows import Predict, Rows
from latentry._guidance._run_caches import RunCaches
from latentry._guidance._tiles import Tiles
from latentry._numerics._processes._point import Query
from latentry._specs import BranchKind


@dataclass(frozen=True)
class Branch:
    """One way to evaluate the network.

    Attributes:
        negative: with the negative prompt instead of the prompt.
        skip_layers: without these layers.
        attention: with the attention of the picture to itself changed.
        weak_model: by the second network of the guidance.
    """

    negative: bool = False
    skip_layers: tuple[int, ...] = ()
    attention: AttentionChange | None = None
    weak_model: bool = False

    @property
    def kind(self) -> BranchKind | Literal["cond"]:
        """What it is called in records."""
        if self.weak_model:
            return "weak-model"
        if self.attention is not None:
            return "perturbed-attention" if self.attention.blur is None else "smoothed-attention"
        return "skip-layers" if self.skip_layers else "uncond" if self.negative else "cond"


COND = Branch()
UNCOND = Branch(negative=True)


class Evaluate(Protocol):
    """Evaluates the network for guidance."""

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        """The network's outputs, one for each branch, in the dtype of the sample."""
        ...


class BatchEvaluate:
    """Evaluates the network for the pictures of one batch, each with its own prompt.

    Branches whose network is changed alike go through the network together. Prompts of different lengths do not:
    padding a prompt would change its picture.

    Args:
        model: the network.
        cond: what each picture's prompt is encoded to.
        uncond: likewise for the negative prompt.
        predict: has rows go through the network, perhaps with those of other requests.
        controls: the conditioners that steer the network.
        changing: what changes from one evaluation to the next.
        tiles: the parts in which samples go through it; None: whole.
        caches: the step cache of the run; None: the network is always run in full.
    """

    def __init__(
        self,
        model: Model,
        cond: Sequence[EncodedPrompt],
        uncond: Sequence[EncodedPrompt],
        predict: Predict = Rows.predict,
        controls: Controls = NO_CONTROLS,
        changing: Changing = UNCHANGING,
        tiles: Tiles | None = None,
        caches: RunCaches | None = None,
    ) -> None:
        self._model, self._through, self._controls = model, predict, controls
        self._changing, self._tiles, self._caches = changing, tiles, caches
        self._conditioning = {False: cond, True: uncond}
        self._groups: dict[Hashable, list[tuple[list[int], Conditioning]]] = {}

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        """See ``Evaluate``."""
        found: dict[Branch, Tensor] = {}
        for change in dict.fromkeys((branch.skip_layers, branch.attention) for branch in branches):
            together = [branch for branch in branches if (branch.skip_layers, branch.attention) == change]
            both = self._predict(query, tuple(branch.negative for branch in together), *change)
            found |= zip(together, both.to(query.x.dtype).chunk(len(together)), strict=True)
        return tuple(found[branch] for branch in branches)

    def _predict(
        self, query: Query, negative: tuple[bool, ...], layers: tuple[int, ...], attention: AttentionChange | None
    ) -> Tensor:
        x = torch.cat([query.input.to(self._model.dtype)] * len(negative))
        outputs: list[tuple[int, Tensor]] = []
        plain = not layers and attention is None
        for number, (rows, conditioning) in enumerate(self._grouped(negative, query.index)):
            some = x if len(rows) == len(x) else x[rows]
            sides = [negative[row * len(negative) // len(x)] for row in rows]
            steer, weights = self._controls.at(query, sides), self._changing.weights(query)
            told = self._changing.told(query, conditioning)
            by_row = (weights,) * len(some) if weights else ()
            kept = self._kept(query, negative, number, len(some)) if plain else ()
            output = self._output(Rows(self._model, some, query.timestep, told, layers, attention, steer, by_row, kept))
            if len(rows) == len(x):
                return output
            outputs += zip(rows, output, strict=True)
        return torch.stack([output for _, output in sorted(outputs, key=lambda pair: pair[0])])

    def _output(self, rows: Rows) -> Tensor:
        """The network's output for rows, whole or in parts."""
        if self._tiles is None:
            return self._through(rows)
        return self._tiles(rows.x, lambda part: self._through(replace(rows, x=part)))

    def _kept(self, query: Query, negative: tuple[bool, ...], group: int, rows: int) -> tuple[CachePart, ...]:
        """What the step cache keeps of rows of a group: for as long as their prompts stay the same."""
        if self._caches is None:
            return ()
        key = repr((negative, self._which(negative, query.index), group))
        return (CachePart(self._caches.memory(key), rows, query.timestep),)

    def _which(self, negative: tuple[bool, ...], index: int) -> tuple[int, ...]:
        """Which of its texts each row's prompt is at a step."""
        return tuple(prompt.which(index) for side in negative for prompt in self._conditioning[side])

    def _grouped(self, negative: tuple[bool, ...], index: int) -> list[tuple[list[int], Conditioning]]:
        """Rows of equal shapes, with their conditioning joined once and kept for the next query."""
        prompts = [prompt for side in negative for prompt in self._conditioning[side]]
        key = negative, self._which(negative, index)
        if key not in self._groups:
            rows = [prompt.at(index) for prompt in prompts]
            alike: dict[object, list[int]] = {}
            for number, row in enumerate(rows):
                alike.setdefault(row.shapes, []).append(number)
            self._groups[key] = [
                (indices, Conditioning.stacked([rows[i] for i in indices])) for indices in alike.values()
            ]
        return self._groups[key]
