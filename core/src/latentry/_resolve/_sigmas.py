"""Which sigma schedule a request gets, and how it ends.

The one it names, else the one that the checkpoint demands, else that of the program whose name the scheduler was asked
for by, else the one that the checkpoint was published with, else the scheduler's preference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentry._contract._noise_settings import NoiseSettings
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError, OptionError
from latentry._numerics._grids._preferred import first_fitting, laid_out_on
from latentry._numerics._grids._sigma_schedule import ExactSigmas, SigmaSchedule
from latentry._numerics._processes._process import Process
from latentry._peers._names import understand_sigmas
from latentry._resolve._scheduler import ChosenScheduler
from latentry._specs import Final, ProcessKind, SigmaPreference


@dataclass(frozen=True)
class ChosenSigmas:
    """A sigma schedule with its options, and the end of the run.

    Attributes:
        name: ``distribution:name``; None for a list of levels.
        schedule: the object.
        final: where the run ends.
    """

    name: str | None
    schedule: SigmaSchedule
    final: Final

    @property
    def decided(self) -> dict[str, Any]:
        """The fields of a request for these sigmas."""
        if isinstance(self.schedule, ExactSigmas):
            return {"sigmas": self.schedule.values, "sigma_options": {}, "final": self.final}
        return {"sigmas": self.name, "sigma_options": self.schedule.model_dump(), "final": self.final}


def choose_sigmas(
    host: PluginHost,
    chosen: ChosenScheduler,
    noise: NoiseSettings,
    steps: int,
    *,
    sigmas: str | tuple[float, ...] | None,
    options: Mapping[str, Any],
    final: Final | None,
    shift: float | None = None,
) -> ChosenSigmas:
    """The requested sigma schedule, else the one that was part of the scheduler's name, else a preferred one.

    Args:
        host: what is installed.
        chosen: the scheduler, whose preferences count where nothing else decides.
        noise: the checkpoint's noise process, and the schedule that it demands or was published with.
        steps: how many are laid out.
        sigmas: a schedule's name, or the levels one by one.
        options: of the schedule.
        final: where the run ends; None leaves it to the preference, and a process whose training ends at σ = 0 to
            nobody.
        shift: the checkpoint's time shift; ``options`` can override it.

    Raises:
        UnknownName, OptionError: the schedule or an option is not known; options were given for a list of levels.
        IncompatibleError: the schedule is not made for the checkpoint's noise process.
    """
    final = "zero" if ends_at_zero(noise.process) else final
    requested = sigmas if sigmas is not None else chosen.sigmas
    if isinstance(requested, tuple):
        if options:
            raise OptionError(
                f"The sigma options {', '.join(options)} have no effect on a list of levels.",
                why="The levels are used exactly as given.",
                remedy="Leave the options out, or name a sigma schedule.",
                field="sigma_options",
            )
        return ChosenSigmas(None, ExactSigmas(values=requested), final or "zero")
    kind = noise.process.kind
    if requested is None:
        preference = noise.demand or _preference(host, chosen, steps, kind, noise.own)
    else:
        preference = SigmaPreference(understand_sigmas(host, requested))
    name = preference.name
    _check_fit(host, name, kind)
    schedule = laid_out_on(host, preference, shift, **options)
    return ChosenSigmas(host.sigma_schedules.qualified(name), schedule, final or preference.final)


def ends_at_zero(process: Process) -> bool:
    """Whether the least noisy level of training is σ = 0 itself, so that both ends of a run are one."""
    return process.cleanest == process.clean()


def _preference(
    host: PluginHost, chosen: ChosenScheduler, steps: int, kind: ProcessKind, own: SigmaPreference | None
) -> SigmaPreference:
    spec = host.schedulers[chosen.name]
    preferences: tuple[SigmaPreference, ...] = spec.sigmas_for(steps, kind)
    if own is not None and not spec.adaptive:  # which is given a range, and not levels
        preferences = (own, *preferences)
    if chosen.preference is not None and chosen.preference.holds(steps, kind):
        preferences = (chosen.preference, *preferences)  # who uses another program's name expects its schedule
    if (preference := first_fitting(host, preferences, kind)) is not None:
        return preference
    raise IncompatibleError(
        f"None of the sigma schedules that {spec.name!r} prefers can be used here.",
        why=f"It prefers {', '.join(p.name for p in spec.sigmas)}; the model's noise process is {kind}.",
        remedy=f"Name a sigma schedule: {', '.join(_fitting(host, kind)) or 'none is installed'}.",
        field="sigmas",
    )


def _check_fit(host: PluginHost, name: str, kind: ProcessKind) -> None:
    spec = host.sigma_schedules[name]
    if kind not in spec.processes:
        raise IncompatibleError(
            f"The sigma schedule {spec.name!r} cannot be used with this model.",
            why=f"It is for {', '.join(sorted(spec.processes))} noise processes; this model's is {kind}.",
            remedy=f"Use one of: {', '.join(_fitting(host, kind)) or 'none is installed'}.",
            field="sigmas",
        )


def _fitting(host: PluginHost, kind: ProcessKind) -> list[str]:
    return [name for name in host.sigma_schedules if kind in host.sigma_schedules[name].processes]
