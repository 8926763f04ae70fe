"""Heun's method: what it is. How it computes stands in ``scheduler.py``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_heun.scheduler import Heun

__all__ = ["Heun"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The one scheduler of this distribution."""
    yield SchedulerSpec(
        name="heun",
        target="latentry_heun.scheduler:Heun",
        summary="second order, two evaluations a step, deterministic; churn adds and removes noise, as in EDM",
        citation="Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364, algorithm 2",
        order=2,
        evaluations=2,
        off_grid=True,
        sigmas=(SigmaPreference("latentry:leading"), SigmaPreference("latentry:kl-optimal")),
        peers=(
            PeerName(name="HeunDiscreteScheduler", peer="diffusers", options=(("longest_step", math.inf),)),
            PeerName(
                name="FlowMatchHeunDiscreteScheduler",
                peer="diffusers",
                options=(("clock", "t"), ("longest_step", math.inf)),
            ),
        ),
        cases=(SchedulerCase(options=(("churn", 4.0), ("churn_max", 1.5)), order=2, evaluations=2, stochastic=True),),
    )


def __getattr__(name: str) -> Any:
    if name != "Heun":
        raise AttributeError(f"module 'latentry_heun' has no attribute {name!r}")
    from latentry_heun.scheduler import Heun

    return Heun
