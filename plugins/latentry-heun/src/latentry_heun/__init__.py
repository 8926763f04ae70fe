"""The record of Heun's method; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports
from latentry_heun._sigmas import SIGMAS

if TYPE_CHECKING:
    from latentry_heun.scheduler import Heun
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"Heun": "scheduler"})

__all__ = ["Heun"]

_LINSPACE = SigmaPreference("latentry:linspace", processes=frozenset({"vp"}))
"""diffusers' grid on Stable Diffusion."""

_UNCAPPED = (("longest_step", math.inf),)
_ON_S = (("clock", "s"), *_UNCAPPED)


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="heun",
        target="latentry_heun.scheduler:Heun",
        summary="second order, two evaluations a step, deterministic; churn adds and removes noise, as in EDM",
        citation="Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364, algorithm 2",
        order=2,
        evaluations=2,
        off_grid=True,
        off_grid_by=("churn",),
        peers=(
            PeerName(name="HeunDiscreteScheduler", peer="diffusers", options=_ON_S, sigmas=_LINSPACE),
            PeerName(
                name="FlowMatchHeunDiscreteScheduler",
                peer="diffusers",
                options=(("clock", "t"), *_UNCAPPED),
                sigmas=SigmaPreference("latentry:linspace", processes=frozenset({"flow"})),
                differs="it applies a time shift twice; its churn adds noise and takes no signal away",
            ),
            PeerName(
                name="Heun",
                peer="AUTOMATIC1111",
                others=("k_heun",),
                options=_ON_S,
                sigmas=SigmaPreference("latentry:normal"),
            ),
            PeerName(name="sample_heun", peer="k-diffusion", options=_ON_S),
        ),
        sigmas=SIGMAS,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(("clock", "s"),), order=2, evaluations=2),
            SchedulerCase(options=(("churn", 4.0), ("churn_max", 1.5)), order=2, evaluations=2, stochastic=True),
        ),
    )
