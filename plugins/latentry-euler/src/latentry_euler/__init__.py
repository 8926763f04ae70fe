"""The record of Euler's method; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports
from latentry_euler._evidence import EVIDENCE

if TYPE_CHECKING:
    from latentry_euler.scheduler import Euler
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"Euler": "scheduler"})

__all__ = ["Euler"]

_LINSPACE = SigmaPreference("latentry:linspace", processes=frozenset({"vp"}))
"""diffusers' grid on Stable Diffusion."""
_FEW = SigmaPreference("latentry:linspace", options=(("multistep", True),), max_steps=4, processes=frozenset({"vp"}))
_TIMES = SigmaPreference("latentry:beta", options=(("alpha", 0.6), ("beta", 0.8)), processes=frozenset({"vp"}))
_EDM = SigmaPreference("latentry:karras", processes=frozenset({"edm"}))


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="euler",
        evidence=EVIDENCE,
        target="latentry_euler.scheduler:Euler",
        summary="first order, deterministic; churn adds and removes noise, as in EDM",
        citation="Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364, algorithm 2 without correction",
        off_grid=True,
        off_grid_by=("churn",),
        peers=(
            PeerName(name="EulerDiscreteScheduler", peer="diffusers", sigmas=_LINSPACE),
            PeerName(
                name="FlowMatchEulerDiscreteScheduler",
                peer="diffusers",
                sigmas=SigmaPreference("latentry:trailing", processes=frozenset({"flow"})),
                differs="left to make its own list of σ, it applies a time shift twice; its churn has no effect",
            ),
            PeerName(name="MiniMaxH3Scheduler", peer="diffusers", differs="its N counts levels: it takes N − 1 steps"),
            PeerName(
                name="EDMEulerScheduler",
                peer="diffusers",
                sigmas=SigmaPreference("latentry:karras", processes=frozenset({"edm"})),
            ),
            PeerName(
                name="Euler", peer="AUTOMATIC1111", others=("k_euler",), sigmas=SigmaPreference("latentry:normal")
            ),
        ),
        sigmas=(_FEW, _TIMES, _EDM, SigmaPreference("latentry:trailing")),
        revision=2,
        cases=(SchedulerCase(options=(("churn", 4.0),), order=1, stochastic=True),),
    )
