"""Plans of earlier requests, so that equal ones are laid out once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

from latentry._contract._noise_settings import NoiseSettings
from latentry._numerics._plan import Plan
from latentry._numerics._scheduler import Scheduler
from latentry._request._values._strength import StepCounts
from latentry._resolve._sigmas import ChosenSigmas

CAPACITY = 64
"""How many plans are remembered; the least recently used goes first."""


class KnownPlans:
    """The last plans. Some rules take as long to lay out as a pass of a small network (the quantiles of ``Beta``: 40
    ms), and a server is asked for the same few again and again.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[Plan, tuple[Any, ...]]] = OrderedDict()
        self._lock = Lock()

    def __call__(
        self,
        scheduler: Scheduler,
        sigmas: ChosenSigmas,
        noise: NoiseSettings,
        counts: StepCounts,
        *,
        on_grid: bool,
        lay_out: Callable[[], Plan],
    ) -> Plan:
        """The remembered plan of equal parts, else what ``lay_out`` gives.

        Args:
            scheduler: with its options.
            sigmas: the rule that places the steps.
            noise: of the checkpoint.
            counts: how many steps are laid out, and left out.
            on_grid: the model refuses evaluations between the steps.
            lay_out: makes the plan, where no equal one is remembered.
        """
        key = repr(scheduler), repr(sigmas.schedule), sigmas.final, counts, noise.prediction, on_grid
        parts = scheduler, sigmas.schedule, noise.process
        with self._lock:
            kept = self._kept.get(key)
        plan = kept[0] if kept is not None and kept[1] == parts else lay_out()
        with self._lock:
            self._kept[key] = plan, parts
            self._kept.move_to_end(key)
            while len(self._kept) > CAPACITY:
                self._kept.popitem(last=False)
        return plan
