"""The record of linear multistep; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports
from latentry_lms._sigmas import SIGMAS

if TYPE_CHECKING:
    from latentry_lms.scheduler import LMS
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"LMS": "scheduler"})

__all__ = ["LMS"]

_LINSPACE = SigmaPreference("latentry:linspace", processes=frozenset({"vp"}))
"""diffusers' grid on Stable Diffusion."""

_FULL = (("arrival", "full"),)


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="lms",
        target="latentry_lms.scheduler:LMS",
        summary="fourth order, multistep in s = σ/α, deterministic",
        citation="the Adams-Bashforth method; as ρAB-DEIS in Zhang and Chen 2022, arXiv:2204.13902",
        order=4,
        peers=(
            PeerName(name="LMSDiscreteScheduler", peer="diffusers", options=_FULL, sigmas=_LINSPACE),
            PeerName(
                name="LMS",
                peer="AUTOMATIC1111",
                others=("k_lms",),
                options=_FULL,
                sigmas=SigmaPreference("latentry:normal"),
            ),
            PeerName(name="sample_lms", peer="k-diffusion", options=_FULL),
            PeerName(name="ipndm_v", peer="ComfyUI", options=_FULL),
        ),
        sigmas=SIGMAS,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(("order", 1),), order=1),
            SchedulerCase(options=(("order", 2),), order=2),
            SchedulerCase(options=(("order", 3),), order=3),
        ),
    )
