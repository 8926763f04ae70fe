"""How a host follows a generation, or the writing of a model."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from latentry._numerics._running._run import Run

Stage = Literal["load", "encode", "sample", "decode", "done", "write"]


@dataclass(frozen=True)
class ProgressEvent:
    """One moment of a generation.

    Attributes:
        stage: what is going on.
        done: steps done, over all batches.
        total: steps of all batches; 0 before that is known.
        text: one short line for people.
        run: the run of the current batch while sampling; read its sample, do not change it.
        glimpse: what the pictures of the batch will roughly be, after its first step.
    """

    stage: Stage
    done: int
    total: int
    text: str
    run: Run | None = None
    glimpse: Glimpse | None = None


class Glimpse(Protocol):
    """What the network expects of the pictures that are being drawn; computed when it is asked for, in the callback.

    Attributes:
        pictures: their indices in the request.
    """

    @property
    def pictures(self) -> tuple[int, ...]: ...

    def x0(self) -> Tensor:
        """The clean latents that the last evaluation predicts, (batch, channels, height, width)."""
        ...

    def images(self) -> tuple[Image, ...]:
        """The pictures, RGB, by ``Model.preview``: rough, without the autoencoder. Empty where the model has none."""
        ...


Progress = Callable[[ProgressEvent], None]
"""Called at every moment; an exception raised in it cancels the generation and reaches the caller."""


class BatchProgress:
    """Reports one batch's progress as part of the whole request's.

    Args:
        progress: called with each event.
        batch: index of the batch.
        batches: how many there are.
        steps: of each.
    """

    def __init__(self, progress: Progress, batch: int, batches: int, steps: int) -> None:
        self._progress, self._before, self._total = progress, batch * steps, batches * steps

    def later(self, steps: int) -> BatchProgress:
        """For what comes after so many of the batch's steps."""
        after = copy(self)
        after._before += steps
        return after

    def __call__(
        self, stage: Stage, step: int, text: str, run: Run | None = None, glimpse: Glimpse | None = None
    ) -> None:
        """Reports a moment; ``step`` counts the batch's own steps that are done."""
        self._progress(ProgressEvent(stage, self._before + step, self._total, text, run, glimpse))


def silent(event: ProgressEvent) -> None:
    """Does nothing."""
