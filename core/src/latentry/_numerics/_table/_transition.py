"""The Gaussian that a stochastic step draws its sample from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from latentry._errors import IncompatibleError
from latentry._numerics._table._table import Combine, Draw, Evaluate, Guard, TableStep, needed
from latentry._numerics._table._walk import combined


@dataclass(frozen=True)
class Transition:
    """The distribution N(mean, std²) that a sample was drawn from, given all that the network had been shown before.

    Attributes:
        mean: like the sample; gradients flow through it to the network's outputs.
        std: the same for every element; 0 where the sample follows without noise.
        sample: what was drawn.
        earlier: those of the step's queries that were drawn too: the middle of DPM++ SDE's step, churn. The density of
            the whole step is the product.
    """

    mean: Tensor
    std: float
    sample: Tensor
    earlier: tuple[Transition, ...] = ()

    def log_prob(self, sample: Tensor) -> Tensor:
        """log of the density at a sample, summed over all dimensions but the first: (batch,).

        Args:
            sample: (batch, …), like the mean; most often the one that was drawn.

        Raises:
            IncompatibleError: the step adds no noise, so that there is no density.
        """
        if self.std == 0.0:
            raise IncompatibleError(
                "This step adds no noise, so its result has no density.",
                remedy="Use a stochastic scheduler, and leave out steps whose transition has a std of 0.",
            )
        size = self.mean[0].numel()
        squared = ((sample - self.mean) / self.std).square().flatten(1).sum(1)
        return -0.5 * squared - size * (math.log(self.std) + 0.5 * math.log(2.0 * math.pi))


def transition(step: TableStep, tensors: Mapping[str, Tensor]) -> Transition:
    """How the result of a step that has been taken was distributed.

    Args:
        step: the step.
        tensors: everything that it was given and made.

    Raises:
        IncompatibleError: a query shows a mixture of draws that later samples use, so that its share in them is open;
            or a guard acts on a draw that no query has shown.
    """
    if step.result in tensors and len(tensors) == 1:  # of a step without noise nothing else was kept
        return Transition(tensors[step.result], 0.0, tensors[step.result])
    shown = [operation.x for operation in step.operations if isinstance(operation, Evaluate)]
    spread = _spread(step)
    seen: set[str] = set()
    earlier: list[Transition] = []
    for name in shown:
        fresh = {draw: share for draw, share in spread[name].items() if draw not in seen}
        if fresh:
            earlier.append(_given(name, step, tensors, fresh))
        if len(fresh) > 1 and any(set(fresh) & set(spread[other]) for other in (step.result, *shown) if other != name):
            raise IncompatibleError(
                "The distribution of this step's result is not known.",
                why="One of its queries depends on a mix of noise draws that the result uses too.",
            )
        seen |= set(fresh)
    fresh = {draw: share for draw, share in spread[step.result].items() if draw not in seen}
    last = _given(step.result, step, tensors, fresh)
    return Transition(last.mean, last.std, last.sample, tuple(earlier))


def _spread(step: TableStep) -> dict[str, dict[str, float]]:
    """The share of each draw of this step in each of its tensors; the network's outputs count as given.

    A guard is not linear, but what it does to draws that the network has been shown is known as well: their shares
    from there on are not numbers, and nothing asks for them.
    """
    spread: dict[str, dict[str, float]] = {step.sample: {}}
    shown: set[str] = set()
    for operation in step.operations:
        if isinstance(operation, Draw):
            spread[operation.into] = {operation.into: 1.0}
        elif isinstance(operation, Combine):
            shares: dict[str, float] = {}
            for coefficient, name in operation.terms:
                for draw, share in spread.get(name, {}).items():
                    shares[draw] = shares.get(draw, 0.0) + coefficient * share
            spread[operation.into] = shares
        elif isinstance(operation, Guard):
            draws = {draw for name in needed(operation) for draw in spread.get(name, {})}
            if draws - shown:
                raise IncompatibleError(
                    "The distribution of this step's result is not known.",
                    why="A guard acts on its noise, so that it is not Gaussian.",
                    remedy="Switch the scheduler's guard off: guard=False.",
                )
            spread[operation.into] = dict.fromkeys(draws, math.nan)
        else:
            shown |= set(spread.setdefault(operation.x, {}))
        spread.setdefault(operation.into, {})
    spread.setdefault(step.result, {})
    return spread


def _given(name: str, step: TableStep, tensors: Mapping[str, Tensor], fresh: Mapping[str, float]) -> Transition:
    """The distribution of one tensor over the draws in ``fresh``, all others being known."""
    if not fresh:
        return Transition(tensors[name], 0.0, tensors[name])
    x, means, drawn = tensors[step.sample], dict(tensors), set(fresh)
    for operation in step.operations:
        if isinstance(operation, Combine) and any(term.tensor in drawn for term in operation.terms):
            drawn.add(operation.into)
            still = tuple(term for term in operation.terms if term.tensor not in fresh)
            means[operation.into] = combined(still, means, x)
    return Transition(means[name], math.hypot(*fresh.values()), tensors[name])
