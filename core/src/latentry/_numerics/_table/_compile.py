"""A step as functions, so that a walk has nothing left to decide: the kernels of ``combine`` in the same order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from latentry._numerics._running._noise import NoiseSource
from latentry._numerics._solvers._guard import guarded
from latentry._numerics._table._table import Combine, Draw, Evaluate, Guard, Operation, TableStep, Term

Make = Callable[[dict[str, Tensor], Tensor, NoiseSource], Tensor]
"""A tensor from those that there are, the step's sample, and the noise."""


class Segment(NamedTuple):
    """What a step computes up to an evaluation, or up to its end.

    Attributes:
        makes: names, and how each is made.
        evaluation: what is asked then; None at the end.
    """

    makes: tuple[tuple[str, Make], ...]
    evaluation: Evaluate | None


def segments(step: TableStep, shared: frozenset[str] = frozenset()) -> tuple[Segment, ...]:
    """A step, cut at its evaluations.

    Args:
        step: the step.
        shared: names that may be an output itself where they are once that.
    """
    found: list[Segment] = []
    makes: list[tuple[str, Make]] = []
    for operation in step.operations:
        if isinstance(operation, Evaluate):
            found.append(Segment(tuple(makes), operation))
            makes = []
        else:
            output = _output(operation, step) if operation.into in shared else None
            makes.append((operation.into, _made(operation, step.index) if output is None else _same(output)))
    return (*found, Segment(tuple(makes), None))


def _output(operation: Operation, step: TableStep) -> str | None:
    """The output of the step that a combination is a copy of; None where it is something else."""
    if not isinstance(operation, Combine) or len(operation.terms) != 1:
        return None
    ((factor, name),) = operation.terms
    return name if factor == 1.0 and any(name == each.into for each in step.evaluations) else None


def _same(output: str) -> Make:
    return lambda tensors, x, noise: tensors[output]


def _made(operation: Combine | Draw | Guard, index: int) -> Make:
    match operation:
        case Draw(_, number, clock):
            return lambda tensors, x, noise: noise(x, index, number, clock)
        case Guard(_, first, full, denoised, gain, kappa):
            return lambda tensors, x, noise: guarded(
                tensors[first], tensors[full], tensors[denoised], gain=gain, kappa=kappa
            )
        case Combine():
            return _summed(operation)


def _summed(combination: Combine) -> Make:
    terms = combination.terms
    if not terms:
        return lambda tensors, x, noise: torch.zeros_like(x)
    (factor, first), rest = terms[0], terms[1:]
    if factor == 1.0 and rest:
        (alpha, second), rest = rest[0], rest[1:]
        return _then(lambda tensors, x, noise: tensors[first].add(tensors[second], alpha=alpha), rest)
    if factor == 1.0:  # a copy has the bits of a product with 1
        return lambda tensors, x, noise: tensors[first].clone()
    single = _scalar(factor)

    def scaled(tensors: dict[str, Tensor], x: Tensor, noise: NoiseSource) -> Tensor:
        tensor = tensors[first]
        # other devices, Apple's GPUs among them, are not known to take a tensor on the CPU as a factor
        quick = tensor.dtype is torch.float32 and (tensor.is_cpu or tensor.is_cuda)
        return tensor * (single if quick else factor)

    return _then(scaled, rest)


def _then(begin: Make, rest: tuple[Term, ...]) -> Make:
    """The first tensor with the other terms added."""
    if not rest:
        return begin
    if len(rest) == 1:
        ((alpha, name),) = rest
        return lambda tensors, x, noise: begin(tensors, x, noise).add_(tensors[name], alpha=alpha)

    def summed(tensors: dict[str, Tensor], x: Tensor, noise: NoiseSource) -> Tensor:
        total = begin(tensors, x, noise)
        for alpha, name in rest:
            total.add_(tensors[name], alpha=alpha)
        return total

    return summed


def _scalar(value: float) -> Tensor:
    """A factor of float32 tensors that torch need not make a tensor of in every step.

    The kernels round a Python float to float32 in the same way, so the product is the same to the bit.
    """
    with torch.inference_mode(False):
        return torch.tensor(value, dtype=torch.float32, device="cpu")
