"""DPM-Solver-2 and its ancestral sibling: what they are. How they compute stands in one file each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_dpm2.dpm2 import DPM2
    from latentry_dpm2.dpm2_ancestral import DPM2Ancestral

__all__ = ["DPM2", "DPM2Ancestral"]

_CLASSES = {"DPM2": "dpm2", "DPM2Ancestral": "dpm2_ancestral"}


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """Deterministic, and with ancestral noise."""
    yield SchedulerSpec(
        name="dpm2",
        aliases=("dpm_2",),
        target="latentry_dpm2.dpm2:DPM2",
        summary="second order, two evaluations a step, deterministic; churn adds and removes noise, as in EDM",
        citation="Lu et al. 2022, DPM-Solver, arXiv:2206.00927, algorithm 1",
        order=2,
        evaluations=2,
        off_grid=True,
        sigmas=(SigmaPreference("latentry:leading"), SigmaPreference("latentry:trailing")),
        peers=(PeerName(name="KDPM2DiscreteScheduler", peer="diffusers", options=(("longest_step", math.inf),)),),
        cases=(
            SchedulerCase(options=(("r", 0.3),), order=2, evaluations=2),
            SchedulerCase(options=(("churn", 4.0), ("churn_max", 1.5)), order=2, evaluations=2, stochastic=True),
        ),
    )
    yield SchedulerSpec(
        name="dpm2-ancestral",
        aliases=("dpm_2_ancestral",),
        target="latentry_dpm2.dpm2_ancestral:DPM2Ancestral",
        summary="weak order 2, two evaluations a step, stochastic; DPM-Solver-2 down, fresh noise up",
        citation="Lu et al. 2022, DPM-Solver, arXiv:2206.00927, algorithm 1, with noise",
        order=2,
        evaluations=2,
        stochastic=True,
        off_grid=True,
        sigmas=(SigmaPreference("latentry:kl-optimal"),),
        peers=(
            PeerName(name="DPM2 a", peer="AUTOMATIC1111"),
            PeerName(name="KDPM2AncestralDiscreteScheduler", peer="diffusers", options=(("longest_step", math.inf),)),
        ),
        cases=(
            SchedulerCase(options=(("eta", 0.5),), order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=2, evaluations=2),
        ),
    )


def __getattr__(name: str) -> Any:
    if name not in _CLASSES:
        raise AttributeError(f"module 'latentry_dpm2' has no attribute {name!r}")
    return getattr(import_module(f"latentry_dpm2.{_CLASSES[name]}"), name)
