"""The record of restart sampling; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports
from latentry_restart._sigmas import SIGMAS

if TYPE_CHECKING:
    from latentry_restart.scheduler import Restart
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"Restart": "scheduler"})

__all__ = ["Restart"]

_FINE = (("restart_min", 1.0), ("restart_max", 1.5))


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="restart",
        target="latentry_restart.scheduler:Restart",
        summary="Heun's method that adds noise again at one level and repeats a stretch of the way, stochastic",
        citation="Xu et al. 2023, Restart Sampling for Improving Generative Processes, arXiv:2306.14878, algorithm 1",
        order=2,
        evaluations=12,
        stochastic=True,
        off_grid=True,
        peers=(
            PeerName(
                name="Restart",
                peer="AUTOMATIC1111",
                options=(("restart_min", 0.1), ("restart_max", 2.0), ("clock", "s"), ("longest_step", float("inf"))),
                sigmas=SigmaPreference("latentry:karras"),
                differs="it takes the steps of its restart out of the N asked for, and restarts from 20 steps on only",
            ),
        ),
        sigmas=SIGMAS,
        revision=2,
        guard_since=2,
        cases=(
            SchedulerCase(options=(*_FINE, ("restart_steps", 16)), order=2, evaluations=36, stochastic=True),
            SchedulerCase(
                options=(*_FINE, ("restart_steps", 16), ("restarts", 2)), order=2, evaluations=68, stochastic=True
            ),
            SchedulerCase(
                options=(*_FINE, ("restart_steps", 24), ("clock", "s")), order=2, evaluations=52, stochastic=True
            ),
        ),
        exemptions=(("variance[default]", "the number of steps within a restart does not grow with the grid's"),),
    )
