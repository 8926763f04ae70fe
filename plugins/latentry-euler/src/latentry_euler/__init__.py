"""Euler's method: what it is. How it computes stands in ``scheduler.py``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from latentry import SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_euler.scheduler import Euler

__all__ = ["Euler"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The one scheduler of this distribution."""
    yield SchedulerSpec(
        name="euler",
        aliases=("EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"),
        target="latentry_euler.scheduler:Euler",
        summary="first order, deterministic; churn adds and removes noise, as in EDM",
        citation="Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364, algorithm 2 without correction",
        off_grid=True,
        sigmas=(SigmaPreference("latentry:trailing"),),
        cases=(SchedulerCase(options=(("churn", 4.0),), order=1, stochastic=True),),
    )


def __getattr__(name: str) -> Any:
    if name != "Euler":
        raise AttributeError(f"module 'latentry_euler' has no attribute {name!r}")
    from latentry_euler.scheduler import Euler

    return Euler
