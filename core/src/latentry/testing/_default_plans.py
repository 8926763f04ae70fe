"""Plans with a scheduler's defaults: on the sigma schedule that its record prefers."""

from __future__ import annotations

from latentry._errors import LatentryError
from latentry._numerics._plan import Plan
from latentry._numerics._processes._process import Process
from latentry._numerics._solvers._guard import Guarded, limit_for
from latentry._specs import SigmaPreference
from latentry.testing._networks._processes import NATURAL
from latentry.testing._subject import Subject


def preferred(subject: Subject, steps: int, on: Process) -> SigmaPreference | None:
    """The first of the record's sigma schedules that is installed and made for the process."""
    known = subject.host.sigma_schedules
    fitting = (
        p for p in subject.spec.sigmas_for(steps, on.kind) if p.name in known and on.kind in known[p.name].processes
    )
    return next(fitting, None)


def default_plan(
    subject: Subject,
    preference: SigmaPreference,
    steps: int,
    on: Process,
    *,
    shift: float = 1.0,
    guidance: float | None = None,
) -> Plan:
    """The plan of the first case on that schedule.

    Args:
        subject: the scheduler.
        preference: the schedule.
        steps: how many.
        on: the noise process.
        shift: time shift of the checkpoint.
        guidance: the scale whose limit a guard is given; None leaves the limit as it is.
    """
    schedule, scheduler = subject.host.sigma_schedules.load(preference.name), subject.cases[0].scheduler
    shifted = {} if shift == 1.0 or schedule.absolute else {"shift": shift}
    if guidance is not None and isinstance(scheduler, Guarded):
        scheduler = scheduler.model_copy(update={"guard_limit": limit_for(guidance)})
    sigmas = schedule(**{**shifted, **dict(preference.options)})
    return scheduler.plan(steps, process=on, prediction=NATURAL[on.kind], sigmas=sigmas, final=preference.final)


def affordable(
    subject: Subject, evaluations: int, on: Process, *, shift: float = 1.0
) -> tuple[Plan, SigmaPreference] | None:
    """The plan with the most steps that takes no more than so many evaluations, and its schedule.

    None if there is no such plan, or if the evaluations are chosen at run time.
    """
    for steps in range(evaluations, 0, -1):
        preference = preferred(subject, steps, on)
        if preference is None:
            continue
        try:
            plan = default_plan(subject, preference, steps, on, shift=shift)
        except LatentryError:
            continue
        if plan.evaluations is not None and plan.evaluations <= evaluations:
            return plan, preference
    return None
