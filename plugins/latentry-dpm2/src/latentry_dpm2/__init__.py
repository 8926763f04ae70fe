"""The records of DPM-Solver-2 and its ancestral sibling; their code is imported on first use."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports
from latentry_dpm2._sigmas import ANCESTRAL, SIGMAS

if TYPE_CHECKING:
    from latentry_dpm2.dpm2 import DPM2
    from latentry_dpm2.dpm2_ancestral import DPM2Ancestral
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"DPM2": "dpm2", "DPM2Ancestral": "dpm2_ancestral"})

__all__ = ["DPM2", "DPM2Ancestral"]


_LINSPACE = SigmaPreference("latentry:linspace", processes=frozenset({"vp"}))
"""diffusers' grid on Stable Diffusion."""

_KARRAS = SigmaPreference("latentry:karras")
_UNCAPPED = (("longest_step", math.inf),)
_UNFITTED = (("fitted", False),)
_DROPPED = "it lays out N + 1 levels and leaves out the last but one"


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The schedulers of this distribution: deterministic, and with ancestral noise."""
    yield SchedulerSpec(
        name="dpm2",
        target="latentry_dpm2.dpm2:DPM2",
        summary="second order, two evaluations a step, deterministic; churn adds and removes noise, as in EDM",
        citation="Lu et al. 2022, DPM-Solver, arXiv:2206.00927, algorithm 1",
        order=2,
        evaluations=2,
        off_grid=True,
        peers=(
            PeerName(name="KDPM2DiscreteScheduler", peer="diffusers", options=_UNCAPPED, sigmas=_LINSPACE),
            PeerName(
                name="DPM2",
                peer="AUTOMATIC1111",
                others=("k_dpm_2",),
                options=_UNCAPPED,
                sigmas=_KARRAS,
                differs=_DROPPED,
            ),
            PeerName(name="dpm_2", peer="ComfyUI", options=_UNCAPPED, differs=_DROPPED),
            PeerName(name="sample_dpm_2", peer="k-diffusion", options=_UNCAPPED),
        ),
        sigmas=SIGMAS,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(("r", 0.3),), order=2, evaluations=2),
            SchedulerCase(options=(("churn", 4.0), ("churn_max", 1.5)), order=2, evaluations=2, stochastic=True),
        ),
    )
    yield SchedulerSpec(
        name="dpm2-ancestral",
        target="latentry_dpm2.dpm2_ancestral:DPM2Ancestral",
        summary="weak order 2, two evaluations a step, stochastic; DPM-Solver-2 down, fresh noise up",
        citation="Lu et al. 2022, DPM-Solver, arXiv:2206.00927, algorithm 1, with noise",
        order=2,
        evaluations=2,
        stochastic=True,
        off_grid=True,
        peers=(
            PeerName(name="KDPM2AncestralDiscreteScheduler", peer="diffusers", options=_UNFITTED, sigmas=_LINSPACE),
            PeerName(
                name="DPM2 a",
                peer="AUTOMATIC1111",
                others=("k_dpm_2_a", "k_dpm_2_ancestral"),
                options=_UNFITTED,
                sigmas=_KARRAS,
                differs=_DROPPED,
            ),
            PeerName(name="dpm_2_ancestral", peer="ComfyUI", options=_UNFITTED, differs=_DROPPED),
            PeerName(name="sample_dpm_2_ancestral", peer="k-diffusion", options=_UNFITTED),
        ),
        sigmas=ANCESTRAL,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(("eta", 0.5),), order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=2, evaluations=2),
            SchedulerCase(options=_UNFITTED, order=2, evaluations=2, stochastic=True),
        ),
    )
