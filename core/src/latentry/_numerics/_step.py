"""One step of a sampler, written as a generator: what a run calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, ClassVar

from torch import Tensor

from latentry._numerics._denoised import Denoised
from latentry._numerics._interval import Interval, NoMemory
from latentry._numerics._options import Options
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._running._noise import Noise

Result = tuple[Tensor, Any] | tuple[Tensor, Any, Point]
"""(x, memory), or (x, memory, reached) where the step got only as far as ``reached``."""
Step = Generator[Query, Denoised, Result]
"""What ``Scheduler.step`` is: it yields queries, is sent their answers and returns a ``Result``."""


class StepMethod(Options, ABC):
    """Options and one step over an interval: all that a run needs of a scheduler.

    ``Scheduler`` adds ``plan`` and ``build``, which make plans; a plan makes runs, and runs know this class alone.

    Class attributes:
        Memory: a NamedTuple type, constructible without arguments, of tensors, points, nodes, tuples and plain values.
        adaptive: the step may return how far it got, so the number of evaluations is not known beforehand. Such a
            scheduler is given one sample at a time.
        needs: what an answer must carry beyond the guided output: ``uncond``.
        whole: a step covers the whole plan, see ``WholeScheduler``.
    """

    Memory: ClassVar[type] = NoMemory
    adaptive: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    whole: ClassVar[bool] = False

    @abstractmethod
    def step(self, x: Tensor, interval: Interval, memory: Any, noise: Noise) -> Step:
        """One step over an interval. Each ``yield`` of a query gives the network's answer to it.

        Nothing is written into ``x`` or ``memory``, and nothing waits for the device; the coefficients are host
        floats. The result depends on the arguments and the options alone: a plan whose steps are linear is recorded
        once (``Plan.table``), and a run repeats the recording in place of calling this again.

        Args:
            x: the sample at ``interval.start``, (batch, …), float32 or float64.
            interval: from where to where.
            memory: what the last step returned; an empty ``Memory()`` on the first.
            noise: standard normal draws of this step.
        """
