"""The sigma schedule that a scheduler's record prefers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from latentry._discovery import PluginHost
from latentry._discovery._owner import scheduler_record
from latentry._errors import IncompatibleError
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._processes._process import Process
from latentry._specs import Final, ProcessKind, SchedulerSpec, SigmaPreference


def preferred_sigmas(scheduler: type, steps: int, process: Process, shift: float | None) -> tuple[SigmaSchedule, Final]:
    """What a scheduler is laid out on where nobody says otherwise, and where its runs end.

    A class without a record has the preference of a record that names none.

    Args:
        scheduler: its class.
        steps: how many.
        process: the noise process.
        shift: the checkpoint's time shift.

    Raises:
        IncompatibleError: no preferred schedule is for this process.
    """
    spec = scheduler_record(scheduler)
    preferences = SchedulerSpec.sigmas if spec is None else spec.sigmas_for(steps, process.kind)
    host = PluginHost(load={preference.name.partition(":")[0] for preference in preferences})
    preference = first_fitting(host, preferences, process.kind)
    if preference is None:
        raise IncompatibleError(
            f"{scheduler.__name__} prefers no sigma schedule on a {process.kind} noise process.",
            why=f"It prefers {', '.join(p.name for p in preferences) or 'none'}.",
            remedy="Give one with sigmas=, for example Karras().",
        )
    return laid_out_on(host, preference, shift), preference.final


def first_fitting(
    host: PluginHost, preferences: Iterable[SigmaPreference], kind: ProcessKind
) -> SigmaPreference | None:
    """The first whose schedule is installed and made for the noise process."""
    known = host.sigma_schedules
    return next((p for p in preferences if p.name in known and kind in known[p.name].processes), None)


def laid_out_on(host: PluginHost, preference: SigmaPreference, shift: float | None, /, **options: Any) -> SigmaSchedule:
    """The schedule of a preference. Its own options count before the shift, and ``options`` before both.

    Schedules of absolute levels take no shift.
    """
    absolute = host.sigma_schedules.load(preference.name).absolute
    shifting = {} if shift is None or absolute else {"shift": shift}
    schedule: SigmaSchedule = host.sigma_schedules.create(
        preference.name, **{**shifting, **dict(preference.options), **options}
    )
    return schedule
