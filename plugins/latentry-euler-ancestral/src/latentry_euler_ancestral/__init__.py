"""Ancestral sampling: what it is. How it computes stands in ``scheduler.py``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_euler_ancestral.scheduler import EulerAncestral

__all__ = ["EulerAncestral"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The one scheduler of this distribution."""
    yield SchedulerSpec(
        name="euler-ancestral",
        aliases=("EulerAncestralDiscreteScheduler", "euler_ancestral"),
        target="latentry_euler_ancestral.scheduler:EulerAncestral",
        summary="weak order 1, stochastic; Euler below the end of the step, fresh noise up to it",
        citation="Song et al. 2020, Score-Based Generative Modeling, arXiv:2011.13456, appendix F",
        stochastic=True,
        sigmas=(SigmaPreference("latentry:kl-optimal"),),
        peers=(PeerName(name="Euler a", peer="AUTOMATIC1111"), PeerName(name="euler_a", peer="stable-diffusion.cpp")),
        cases=(
            SchedulerCase(options=(("eta", 0.5),), order=1, stochastic=True),
            SchedulerCase(options=(("eta", 0.5), ("eta_rule", "sde")), order=1, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=1),
        ),
    )


def __getattr__(name: str) -> Any:
    if name != "EulerAncestral":
        raise AttributeError(f"module 'latentry_euler_ancestral' has no attribute {name!r}")
    from latentry_euler_ancestral.scheduler import EulerAncestral

    return EulerAncestral
