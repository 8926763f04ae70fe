"""The record of STORK; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import SchedulerCase, SchedulerSpec, hookimpl, lazy_exports
from latentry_stork._sigmas import SIGMAS

if TYPE_CHECKING:
    from latentry_stork.scheduler import STORK
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"STORK": "scheduler"})

__all__ = ["STORK"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The one scheduler of this distribution."""
    yield SchedulerSpec(
        name="stork",
        aliases=("stork-2",),
        target="latentry_stork.scheduler:STORK",
        summary="second order, multistep, deterministic; a Runge-Kutta method on a Taylor polynomial of the velocity",
        citation="Tan et al. 2025, STORK: Faster Diffusion and Flow Matching Sampling, arXiv:2505.24210",
        order=2,
        sigmas=SIGMAS,
        revision=2,
        guard_since=2,
        cases=(
            SchedulerCase(options=(("derivatives", 1),), order=2),
            SchedulerCase(options=(("stages", 4), ("derivatives", 3)), order=2),
            SchedulerCase(options=(("solver", "stork-4"),), order=3),
            SchedulerCase(options=(("solver", "stork-4"), ("derivatives", 3)), order=4),
        ),
        exemptions=(
            (
                "coefficients[default]",
                "what makes it of order 2 and not 3 is so small that at 160 steps the next order still cancels it",
            ),
        ),
    )
