"""A scheduler whose steps are those of a table that was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from pydantic import PrivateAttr
from torch import Tensor

from latentry._errors import IncompatibleError
from latentry._numerics._interval import Interval
from latentry._numerics._running._noise import Noise
from latentry._numerics._solvers._guard import guarded
from latentry._numerics._step import Step, StepMethod
from latentry._numerics._table._table import Combine, Draw, Guard, TableStep, made
from latentry._numerics._table._walk import combined


class Carried(NamedTuple):
    """What later steps need, in the order of its names."""

    tensors: tuple[Tensor, ...] = ()


class Tabled(StepMethod):
    """Takes the steps of one table, and of no other grid.

    Attributes:
        sha256: of the steps, by which plans are told apart.
    """

    Memory: ClassVar[type] = Carried

    sha256: str

    _steps: dict[int, TableStep] = PrivateAttr(default_factory=dict)
    _given: dict[int, tuple[str, ...]] = PrivateAttr(default_factory=dict)

    def step(self, x: Tensor, interval: Interval, memory: Carried, noise: Noise) -> Step:
        """What the table says.

        Raises:
            IncompatibleError: an answer is not what the network gave.
        """
        step = self._steps[interval.index]
        tensors = dict(zip(self._given[interval.index], memory.tensors, strict=True))
        tensors[step.sample] = x
        for operation in step.operations:
            if isinstance(operation, Combine):
                tensors[operation.into] = combined(operation.terms, tensors, x)
            elif isinstance(operation, Draw):
                tensors[operation.into] = noise(*(operation.clock or ()))
            elif isinstance(operation, Guard):
                steps = (tensors[name] for name in (operation.first, operation.full, operation.denoised))
                tensors[operation.into] = guarded(*steps, gain=operation.gain, kappa=operation.kappa)
            else:
                denoised = yield operation.point.query(tensors[operation.x], operation.timestep)
                if denoised.changed or not denoised.real:
                    raise IncompatibleError(
                        "A plan file cannot be run with hooks or with outputs that a step cache made up.",
                        why="Its coefficients are those of the network's own outputs.",
                        remedy="Name the scheduler instead.",
                    )
                tensors[operation.into] = denoised.output
                if operation.uncond is not None and denoised.uncond is not None:
                    tensors[operation.uncond] = denoised.uncond.output
        later = sorted(set(tensors) - set(step.drop))
        return tensors[step.result], Carried(tuple(tensors[name] for name in later))


class TabledWithUncond(Tabled):
    """The same, for a table that needs the output without guidance too."""

    needs: ClassVar[frozenset[str]] = frozenset({"uncond"})


def tabled(steps: Sequence[TableStep], sha256: str) -> Tabled:
    """The scheduler of a table's steps."""
    needs_uncond = any(evaluation.uncond is not None for step in steps for evaluation in step.evaluations)
    scheduler = (TabledWithUncond if needs_uncond else Tabled)(sha256=sha256)
    known: set[str] = set()
    for step in steps:
        scheduler._steps[step.index], scheduler._given[step.index] = step, tuple(sorted(known))
        known |= {step.sample, *(name for operation in step.operations for name in made(operation))}
        known -= set(step.drop)
    return scheduler
