"""How far a scheduler may extrapolate under the guidance of a request."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from latentry._numerics._solvers._guard import Guarded, limit_for
from latentry._resolve._scheduler import ChosenScheduler

LIMIT = "guard_limit"


def guarded_for(chosen: ChosenScheduler, given: Collection[str], guidance: float) -> ChosenScheduler:
    """The scheduler with the limit of its guard that suits the guidance, unless the request gives one.

    Args:
        chosen: the scheduler.
        given: names of the options that the request gives.
        guidance: scale of the classifier-free guidance; 1 without.
    """
    scheduler = chosen.scheduler
    if not isinstance(scheduler, Guarded) or not scheduler.guard or LIMIT in given:
        return chosen
    return replace(chosen, scheduler=scheduler.model_copy(update={LIMIT: limit_for(guidance)}))
