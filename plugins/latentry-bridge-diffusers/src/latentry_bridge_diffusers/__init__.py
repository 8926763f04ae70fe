"""Latentry's schedulers in diffusers' pipelines, and diffusers' schedulers here.

Importing this imports neither torch nor diffusers. ``SchedulerMixin`` is here because diffusers' ``from_pretrained``
looks for the base class in the module that a saved scheduler names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import SchedulerSpec, hookimpl, lazy_exports
from latentry_bridge_diffusers._records import records

if TYPE_CHECKING:
    from latentry_bridge_diffusers._factory import scheduler
    from latentry_bridge_diffusers._scheduler import (
        LatentryEtaScheduler,
        LatentryFlowScheduler,
        LatentryScheduler,
        SchedulerMixin,
    )
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "LatentryEtaScheduler": "_scheduler",
            "LatentryFlowScheduler": "_scheduler",
            "LatentryScheduler": "_scheduler",
            "SchedulerMixin": "_scheduler",
            "scheduler": "_factory",
        },
    )

__all__ = ["LatentryEtaScheduler", "LatentryFlowScheduler", "LatentryScheduler", "SchedulerMixin", "scheduler"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """diffusers' classes, as ``latentry-bridge-diffusers:euler-discrete`` and the like."""
    return records()
