"""Which scheduler, sigma schedule and settings a request gets, decided before any weight is loaded.

The scheduler: the request's, else the most preferred of the model's variant that is installed. The sigma schedule:
the request's, else what the checkpoint demands, else the scheduler's own preference. The process and the prediction
type always come from the checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentry._contract._noise_settings import NoiseSettings
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError, PluginError
from latentry._files._locate import Located
from latentry._numerics._grids._sigma_schedule import ExactSigmas, SigmaSchedule
from latentry._numerics._plan import Plan
from latentry._numerics._scheduler import Scheduler
from latentry._peers._names import understand, understand_sigmas
from latentry._request._generation_request import GenerationRequest
from latentry._specs import Final, ProcessKind, SigmaPreference

OUTPUTS = frozenset({"uncond"})
"""What the engine can give a scheduler of an evaluation besides the guided output."""


@dataclass(frozen=True)
class ChosenScheduler:
    """A scheduler made with its options.

    Attributes:
        name: ``distribution:name``.
        scheduler: the object.
        sigmas: the sigma schedule that was part of the name that was asked for.
        preference: what the program whose name was asked for lays it out on.
        notes: how results differ from that program's.
    """

    name: str
    scheduler: Scheduler
    sigmas: str | None = None
    preference: SigmaPreference | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChosenSigmas:
    """A sigma schedule made with its options, and the ending.

    Attributes:
        name: ``distribution:name``; None for the caller's own list.
        schedule: the object.
        final: where the run ends.
    """

    name: str | None
    schedule: SigmaSchedule
    final: Final


def choose_scheduler(host: PluginHost, request: GenerationRequest, located: Located) -> ChosenScheduler:
    """See the module.

    Raises:
        UnknownName, OptionError: the request's scheduler or options.
        IncompatibleError: it is not made for the family's process, or needs what cannot be had.
        PluginError: none of the preferred schedulers is installed and none was named.
    """
    meaning = understand(host, request.scheduler or _preferred(host, located))
    spec = host.schedulers[meaning.scheduler]
    kind = host.families[located.family].process
    if kind not in spec.processes:
        fitting = [other for other in host.schedulers if kind in host.schedulers[other].processes]
        raise IncompatibleError(
            f"The scheduler {spec.name!r} cannot be used with {located.name}.",
            why=f"It is right on {', '.join(sorted(spec.processes))} processes; this model's is {kind}.",
            remedy=f"Use one of: {', '.join(fitting) or 'none installed'}.",
        )
    if lacking := spec.needs - OUTPUTS:
        raise IncompatibleError(
            f"The scheduler {spec.name!r} cannot be used with {located.name}.",
            why=f"Of every evaluation it needs {', '.join(sorted(lacking))}; there is {', '.join(sorted(OUTPUTS))}.",
            remedy="Use another, or install a newer latentry.",
        )
    options = {**meaning.options, **request.scheduler_options}
    scheduler = host.schedulers.create(meaning.scheduler, **options)
    return ChosenScheduler(meaning.scheduler, scheduler, meaning.sigmas, meaning.preference, meaning.notes)


def _preferred(host: PluginHost, located: Located) -> str:
    for name in located.variant.schedulers:
        if name in host.schedulers:
            return name
    distributions = dict.fromkeys(name.split(":")[0] for name in located.variant.schedulers)
    installed = f"Installed are {', '.join(host.schedulers)}." if len(host.schedulers) else "No scheduler is installed."
    raise PluginError(
        f"None of the schedulers that {located.variant.name} prefers is installed.",
        why=installed,
        remedy=f"pip install {' or '.join(distributions)}, or name another with --scheduler.",
    )


def choose_sigmas(
    host: PluginHost,
    request: GenerationRequest,
    noise: NoiseSettings,
    chosen: ChosenScheduler,
    steps: int,
    shift: float | None = None,
) -> ChosenSigmas:
    """See the module; a schedule that is part of the scheduler's name counts as the request's.

    ``shift`` is the checkpoint's time shift: it holds unless an option says another.

    Raises:
        UnknownName, OptionError: the request's schedule or options.
        IncompatibleError: the schedule makes no sense on the checkpoint's process.
    """
    asked = request.sigmas or chosen.sigmas
    if isinstance(asked, tuple):
        return ChosenSigmas(None, ExactSigmas(values=asked), request.final or "zero")
    kind = noise.process.kind
    if asked is None:
        preference = noise.demand or _preference(host, chosen, steps, kind)
    else:
        preference = SigmaPreference(understand_sigmas(host, asked))
    options = _shifted(host, preference.name, shift) | dict(preference.options) | request.sigma_options
    return _made(host, preference.name, options, request.final or preference.final, kind)


def _shifted(host: PluginHost, name: str, shift: float | None) -> dict[str, Any]:
    """The checkpoint's time shift as an option, where the schedule takes one."""
    return {} if shift is None or host.sigma_schedules.load(name).absolute else {"shift": shift}


def _preference(host: PluginHost, chosen: ChosenScheduler, steps: int, kind: ProcessKind) -> SigmaPreference:
    spec = host.schedulers[chosen.name]
    preferences: tuple[SigmaPreference, ...] = spec.sigmas_for(steps, kind)
    if chosen.preference is not None and chosen.preference.holds(steps, kind):
        preferences = (chosen.preference, *preferences)
    for preference in preferences:
        if preference.name in host.sigma_schedules and kind in host.sigma_schedules[preference.name].processes:
            return preference
    raise IncompatibleError(
        f"None of the sigma schedules that {spec.name!r} prefers can be used here.",
        why=f"It prefers {', '.join(p.name for p in spec.sigmas)}; the model's noise process is {kind}.",
        remedy=f"Name one with --sigmas: {', '.join(_fitting(host, kind)) or 'none installed'}.",
    )


def _made(host: PluginHost, name: str, options: dict[str, Any], final: Final, kind: ProcessKind) -> ChosenSigmas:
    spec = host.sigma_schedules[name]
    if kind not in spec.processes:
        raise IncompatibleError(
            f"The sigma schedule {spec.name!r} makes no sense on this model.",
            why=f"It is for {', '.join(sorted(spec.processes))} processes; this model's is {kind}.",
            remedy=f"Use one of: {', '.join(_fitting(host, kind)) or 'none installed'}.",
        )
    return ChosenSigmas(host.sigma_schedules.qualified(name), host.sigma_schedules.create(name, **options), final)


def _fitting(host: PluginHost, kind: ProcessKind) -> list[str]:
    return [name for name in host.sigma_schedules if kind in host.sigma_schedules[name].processes]


def lay_out(chosen: ChosenScheduler, sigmas: ChosenSigmas, noise: NoiseSettings, steps: int) -> Plan:
    """The plan of a request."""
    return chosen.scheduler.plan(
        steps, process=noise.process, prediction=noise.prediction, sigmas=sigmas.schedule, final=sigmas.final
    )
