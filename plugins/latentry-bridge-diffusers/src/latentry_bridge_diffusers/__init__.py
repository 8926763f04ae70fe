"""Latentry's schedulers in diffusers' pipelines.

Importing this imports neither torch nor diffusers. ``SchedulerMixin`` is here because diffusers' ``from_pretrained``
looks for the base class in the module that a saved scheduler names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry import lazy_exports

if TYPE_CHECKING:
    from latentry_bridge_diffusers._factory import scheduler
    from latentry_bridge_diffusers._scheduler import LatentryEtaScheduler, LatentryScheduler, SchedulerMixin
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "LatentryEtaScheduler": "_scheduler",
            "LatentryScheduler": "_scheduler",
            "SchedulerMixin": "_scheduler",
            "scheduler": "_factory",
        },
    )

__all__ = ["LatentryEtaScheduler", "LatentryScheduler", "SchedulerMixin", "scheduler"]
