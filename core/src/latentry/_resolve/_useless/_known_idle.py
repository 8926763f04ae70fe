"""Idle options of earlier requests, so that requests of one kind are tried once."""

from __future__ import annotations

from collections.abc import Callable

from latentry._numerics._plan import Plan
from latentry._request._values._strength import StepCounts
from latentry._resolve._lately import Lately
from latentry._resolve._sigmas import ChosenSigmas
from latentry._resolve._useless._idle_options import Idle


class KnownIdle:
    """What ``find_idle`` found for the last plans. Trying a plan's options takes as long as several steps of a small
    network, and a server is asked for the same few plans again and again.
    """

    def __init__(self) -> None:
        self._lately = Lately[Idle]()

    def __call__(
        self, plan: Plan, sigmas: ChosenSigmas, counts: StepCounts, *, on_grid: bool, find: Callable[[], Idle]
    ) -> Idle:
        """The idle options of a plan's scheduler and sigma schedule.

        Args:
            plan: of the run.
            sigmas: that it was laid out by.
            counts: how many steps were laid out, and left out.
            on_grid: the model refuses evaluations between the steps.
            find: tries them, where no equal plan is remembered.
        """
        key = plan.fingerprint, sigmas.name, repr(sigmas.schedule), sigmas.final, counts, on_grid
        return self._lately(key, plan, find)
