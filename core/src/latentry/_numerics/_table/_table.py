"""A plan as plain values: what each step computes from its sample, the network's outputs and the draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from latentry._numerics._processes._point import Point
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._running._noise import Clock
from latentry._specs import ProcessKind


class Term(NamedTuple):
    """One coefficient · tensor of a combination; tensors go by name."""

    coefficient: float
    tensor: str


@dataclass(frozen=True, slots=True)
class Combine:
    """``into`` = the sum of the terms, added up in their order; 0 without terms.

    Attributes:
        into: name of the result.
        terms: coefficients in float64 and the tensors they multiply.
    """

    into: str
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """``into`` = standard normal noise like the sample.

    Attributes:
        into: name of the result.
        number: which draw within the step, from 0; part of the key of keyed noise.
        clock: the piece of the step's clock that it covers, for noise that is one path; None for a fresh draw.
    """

    into: str
    number: int
    clock: Clock | None = None


@dataclass(frozen=True, slots=True)
class Evaluate:
    """``into`` = the guided network output for ``x`` times ``point.scale`` at ``timestep``.

    Attributes:
        into: name of the output.
        x: the sample to evaluate, of the level ``point``.
        point: its noise level.
        timestep: what the network is given as its timestep.
        uncond: name of the output without guidance, where the scheduler needs that too.
    """

    into: str
    x: str
    point: Point
    timestep: float
    uncond: str | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """``into`` = ``full``, drawn back towards ``first`` where it extrapolates too far (see ``guarded``).

    Attributes:
        into: name of the result.
        first: the first-order step.
        full: the step of higher order.
        denoised: x̂₀ of the step.
        gain: turns full − first into a difference of x̂₀.
        kappa: κ, how large that may be beside x̂₀.
    """

    into: str
    first: str
    full: str
    denoised: str
    gain: float
    kappa: float


Operation = Combine | Draw | Evaluate | Guard


@dataclass(frozen=True, slots=True)
class TableStep:
    """One step: from the sample at one boundary to that at the next.

    Attributes:
        index: which interval of the plan, from 0; empty intervals have no step.
        sample: name of the sample it begins with.
        operations: what it computes, in order.
        result: name of the next sample.
        drop: names that no later step needs; the result is among them once it has been taken.
    """

    index: int
    sample: str
    operations: tuple[Operation, ...]
    result: str
    drop: tuple[str, ...] = ()

    @property
    def evaluations(self) -> tuple[Evaluate, ...]:
        """Its evaluations, in order."""
        return tuple(operation for operation in self.operations if isinstance(operation, Evaluate))


@dataclass(frozen=True)
class Table:
    """A plan whose steps are linear in the sample, the outputs and the draws, with the coefficients as numbers.

    Coefficients hold for one process and one prediction type, that of ``Plan.table``. Names are unique over the whole
    table; a step refers to tensors of earlier ones.

    Attributes:
        process: kind of the noise process.
        prediction: what the network emits.
        points: the boundaries, as in the plan.
        steps: one for each interval that is not empty.
    """

    process: ProcessKind
    prediction: Prediction
    points: tuple[Point, ...]
    steps: tuple[TableStep, ...]

    @property
    def evaluations(self) -> tuple[Evaluate, ...]:
        """Every evaluation, in order."""
        return tuple(evaluation for step in self.steps for evaluation in step.evaluations)

    @property
    def stochastic(self) -> bool:
        """Whether a step draws noise."""
        return any(isinstance(op, Draw) for step in self.steps for op in step.operations)


@dataclass(frozen=True)
class NoTable:
    """A plan is not a table. False where truth is asked, so that ``if table := plan.table()`` reads well.

    Attributes:
        reason: why, as a sentence.
    """

    reason: str

    def __bool__(self) -> bool:
        return False


def needed(operation: Operation) -> Iterator[str]:
    """The names that an operation reads."""
    if isinstance(operation, Combine):
        yield from (term.tensor for term in operation.terms)
    elif isinstance(operation, Evaluate):
        yield operation.x
    elif isinstance(operation, Guard):
        yield from (operation.first, operation.full, operation.denoised)


def made(operation: Operation) -> Iterator[str]:
    """The names that an operation sets."""
    yield operation.into
    if isinstance(operation, Evaluate) and operation.uncond is not None:
        yield operation.uncond
