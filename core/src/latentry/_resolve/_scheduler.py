"""Which scheduler a request gets: the one it names, else the one that the model's variant prefers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError, PluginError
from latentry._files._finding._locate import Located
from latentry._files._finding._wanted import why_unusable
from latentry._numerics._scheduler import Scheduler
from latentry._peers._install import how_to_install
from latentry._peers._names import understand
from latentry._specs import SchedulerSpec, SigmaPreference


@dataclass(frozen=True)
class ChosenScheduler:
    """A scheduler with its options.

    Attributes:
        name: ``distribution:name``.
        scheduler: the object.
        sigmas: the sigma schedule that was part of the requested name, as in ``dpmpp_2m_karras``.
        preference: the sigma schedule of the program that the requested name comes from.
        notes: how results differ from that program's.
    """

    name: str
    scheduler: Scheduler
    sigmas: str | None = None
    preference: SigmaPreference | None = None
    notes: tuple[str, ...] = ()

    @property
    def decided(self) -> dict[str, Any]:
        """The fields of a request for this scheduler."""
        return {"scheduler": self.name, "scheduler_options": self.scheduler.model_dump()}


def choose_scheduler(
    host: PluginHost, located: Located, name: str | None, options: Mapping[str, Any]
) -> ChosenScheduler:
    """The requested scheduler, else the first installed one of the variant's preferences.

    Args:
        host: what is installed.
        located: the model's family and variant.
        name: a scheduler's name, or another program's name for one; None leaves the choice to the variant.
        options: of the scheduler; they override those that are part of the name.

    Raises:
        UnknownName, OptionError: the name or an option is not known.
        IncompatibleError: it is not made for the family's noise process, or needs an output that nothing provides.
        PluginError: no name was given and none of the preferred schedulers is installed.
    """
    meaning = understand(host, name or _preferred(host, located))
    _check_fit(host, host.schedulers[meaning.scheduler], located)
    scheduler = host.schedulers.create(meaning.scheduler, **{**meaning.options, **options})
    return ChosenScheduler(meaning.scheduler, scheduler, meaning.sigmas, meaning.preference, meaning.notes)


def _check_fit(host: PluginHost, spec: SchedulerSpec, located: Located) -> None:
    family = host.families[located.family]
    if why := why_unusable(spec, family):
        fitting = [other for other in host.schedulers if not why_unusable(host.schedulers[other], family)]
        raise IncompatibleError(
            f"The scheduler {spec.name!r} cannot be used with {located.name}.",
            why=why,
            remedy=f"Use one of: {', '.join(fitting) or 'none is installed'}.",
            field="scheduler",
        )


def _preferred(host: PluginHost, located: Located) -> str:
    for name in located.variant.schedulers:
        if name in host.schedulers:
            return name
    distributions = dict.fromkeys(name.split(":")[0] for name in located.variant.schedulers)
    installed = f"Installed are {', '.join(host.schedulers)}." if len(host.schedulers) else "No scheduler is installed."
    raise PluginError(
        f"None of the schedulers that {located.variant.name} prefers is installed.",
        why=installed,
        remedy=f"Name another scheduler, or {how_to_install(next(iter(distributions), 'one'))}.",
        field="scheduler",
    )
