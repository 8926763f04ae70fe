"""Plans of earlier requests, so that equal ones are laid out once."""

from __future__ import annotations

from collections.abc import Callable

from latentry._contract._noise_settings import NoiseSettings
from latentry._numerics._plan import Plan
from latentry._numerics._scheduler import Scheduler
from latentry._request._values._strength import StepCounts
from latentry._resolve._lately import Lately
from latentry._resolve._sigmas import ChosenSigmas


class KnownPlans:
    """The last plans. Some rules take as long to lay out as a pass of a small network (the quantiles of ``Beta``: 40
    ms), and a server is asked for the same few again and again.
    """

    def __init__(self) -> None:
        self._lately = Lately[Plan]()

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
        return self._lately(key, (scheduler, sigmas.schedule, noise.process), lay_out)
