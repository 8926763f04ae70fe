"""The record of gradient estimation; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, hookimpl, lazy_exports
from latentry_gradient_estimation._sigmas import SIGMAS

if TYPE_CHECKING:
    from latentry_gradient_estimation.scheduler import GradientEstimation
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"GradientEstimation": "scheduler"})

__all__ = ["GradientEstimation"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="gradient-estimation",
        target="latentry_gradient_estimation.scheduler:GradientEstimation",
        summary="first order, deterministic; DDIM along a slope extrapolated from the last two evaluations",
        citation="Permenter and Yuan 2023, Interpreting and Improving Diffusion Models, arXiv:2306.04848, section 5",
        order=1,
        variable_order=1,
        peers=(
            PeerName(
                name="gradient_estimation",
                peer="ComfyUI",
                others=("euler_ge",),
                differs="on flow models its slopes are those in t (clock=t)",
            ),
        ),
        sigmas=SIGMAS,
        revision=2,
        guard_since=2,
        cases=(
            SchedulerCase(options=(("gamma", 1.5),), order=2),
            SchedulerCase(options=(("gamma", 1.0),), order=1),
            SchedulerCase(options=(("clock", "t"),), order=1),
        ),
    )
