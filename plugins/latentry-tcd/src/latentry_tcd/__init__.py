"""The record of trajectory consistency sampling; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports

if TYPE_CHECKING:
    from latentry_tcd.scheduler import TCD
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"TCD": "scheduler"})

__all__ = ["TCD"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="tcd",
        target="latentry_tcd.scheduler:TCD",
        summary="for models distilled by trajectory consistency: denoises past the end and adds fresh noise",
        citation="Zheng et al. 2024, Trajectory Consistency Distillation, arXiv:2402.19159, algorithm 4",
        processes=frozenset({"vp", "flow"}),
        stochastic=True,
        peers=(
            PeerName(
                name="TCDScheduler",
                peer="diffusers",
                sigmas=SigmaPreference("latentry:distilled", final="table", processes=frozenset({"vp"})),
                differs="it rounds (1 − γ)·t down to a timestep",
            ),
        ),
        sigmas=(
            SigmaPreference("latentry:distilled", final="table", max_steps=50),
            SigmaPreference("latentry:trailing"),
        ),
        cases=(SchedulerCase(options=(("gamma", 0.0),), order=1),),
        exemptions=(
            ("variance", "for distilled models: with γ > 0 each step's jump does not shrink as steps are added"),
            ("one_answer", "(1 − γ)·t is a place in the network's time, which is another level on each process"),
        ),
    )
