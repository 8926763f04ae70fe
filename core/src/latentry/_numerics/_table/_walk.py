"""Walking a recording: what a run does in place of running the scheduler's generators, to the same bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from latentry._numerics._processes._point import Query
from latentry._numerics._running._noise import NoiseSource
from latentry._numerics._table._record import Recorded, Recording
from latentry._numerics._table._table import Evaluate, TableStep, Term
from latentry._numerics._table._tree import filled, matched


def combined(terms: Sequence[Term], tensors: dict[str, Tensor], like: Tensor) -> Tensor:
    """The sum of coefficient · tensor, added up in order, as a new tensor; zeros like ``like`` without terms."""
    if not terms:
        return torch.zeros_like(like)
    factor, name = terms[0]
    total = tensors[name]
    at = 1
    # in the kernels that ``combine`` uses: the first two terms in one where the first coefficient is 1
    if factor == 1.0 and len(terms) > 1:
        second, name = terms[1]
        total = total.add(tensors[name], alpha=second)
        at = 2
    else:
        total = total * factor
    for factor, name in terms[at:]:
        total.add_(tensors[name], alpha=factor)
    return total


class Walk:
    """A run's way through the steps of a recording: the tensors that are needed still, by name.

    Attributes:
        taken: the last step, with everything that it was given and made.

    Args:
        recording: of the run's plan.
        noise: the run's noise.
        tensors: those of the memory that the first step is given.
    """

    def __init__(self, recording: Recording, noise: NoiseSource, tensors: dict[str, Tensor]) -> None:
        self._recording, self._noise, self._tensors = recording, noise, tensors
        self._recorded: Recorded | None = None
        self._sample: Tensor | None = None
        self._evaluation: Evaluate | None = None
        self._stage = 0
        self.taken: tuple[TableStep, dict[str, Tensor]] | None = None

    @classmethod
    def begin(cls, recording: Recording, index: int, memory: Any, noise: NoiseSource) -> Walk | None:
        """A walk from a step on; None if its memory is not the one that was recorded there."""
        tensors: dict[str, Tensor] = {}
        if not matched(recording.steps[index].before, memory, tensors):
            return None
        return cls(recording, noise, tensors)

    def memory(self, index: int) -> Any:
        """The scheduler's memory as it was when step ``index`` began."""
        steps = self._recording.steps
        tree = steps[index].before if index in steps else steps[max(steps)].after
        return filled(tree, self._tensors)

    def open(self, index: int, sample: Tensor) -> Query:
        """Begins a step, again if it is open: its first query."""
        self._recorded, self._sample = self._recording.steps[index], sample
        self._tensors[self._recorded.step.sample] = sample
        self._stage = 0
        query = self._proceed(self._recorded)
        assert query is not None
        return query

    def answer(self, output: Tensor, uncond: Tensor | None) -> Query | None:
        """Takes the outputs for the last query; the next one, or None where the step is done and has a result."""
        evaluation, recorded, tensors = self._evaluation, self._recorded, self._tensors
        assert evaluation is not None and recorded is not None
        dtype = tensors[evaluation.x].dtype
        tensors[evaluation.into] = output if output.dtype is dtype else output.to(dtype)
        if evaluation.uncond is not None:
            assert uncond is not None
            tensors[evaluation.uncond] = uncond.to(dtype)
        self._stage += 1
        return self._proceed(recorded)

    def close(self) -> Tensor:
        """The next sample. Keeps what the memory holds and lets go of the rest."""
        recorded, tensors = self._recorded, self._tensors
        assert recorded is not None
        result = tensors[recorded.step.result]
        # what a step without noise was given has no part in its transition, and would only be kept alive
        self.taken = recorded.step, tensors if recorded.draws else {recorded.step.result: result}
        self._tensors = {name: tensors[name] for name in recorded.kept}
        self._recorded = self._sample = self._evaluation = None
        return result

    def _proceed(self, recorded: Recorded) -> Query | None:
        tensors, sample, noise = self._tensors, self._sample, self._noise
        assert sample is not None
        makes, evaluation = recorded.segments[self._stage]
        for name, make in makes:
            tensors[name] = make(tensors, sample, noise)
        self._evaluation = evaluation
        if evaluation is None:
            return None
        x, point, timestep = tensors[evaluation.x], evaluation.point, evaluation.timestep
        return Query(x, point, timestep, recorded.step.index, self._stage)
