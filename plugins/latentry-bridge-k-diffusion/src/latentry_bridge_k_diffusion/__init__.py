"""k-diffusion's calling convention, both ways: ``sampler`` makes a function of a Latentry scheduler, ``scheduler`` a
Latentry scheduler of a function.

Importing this imports neither torch nor k-diffusion.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import SchedulerSpec, hookimpl, lazy_exports
from latentry_bridge_k_diffusion._records import records

if TYPE_CHECKING:
    from latentry_bridge_k_diffusion._form import Field, form
    from latentry_bridge_k_diffusion._inward import KDiffusionScheduler, scheduler
    from latentry_bridge_k_diffusion._levels import levels, process_of
    from latentry_bridge_k_diffusion._outward import Sampler, sampler
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Field": "_form",
            "form": "_form",
            "KDiffusionScheduler": "_inward",
            "scheduler": "_inward",
            "levels": "_levels",
            "process_of": "_levels",
            "Sampler": "_outward",
            "sampler": "_outward",
        },
    )

__all__ = ["Field", "KDiffusionScheduler", "Sampler", "form", "levels", "process_of", "sampler", "scheduler"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """k-diffusion's own samplers, as ``latentry-bridge-k-diffusion:dpmpp-2m`` and the like."""
    return records()
