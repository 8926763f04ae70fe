"""What is checked: a scheduler's record, its class, and the sets of options it is checked under."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Self

from latentry._discovery import PluginHost
from latentry._numerics._scheduler import Scheduler
from latentry._specs import SchedulerSpec
from latentry.testing._kit._resolved import Resolved
from latentry.testing._networks._draws import draws

Source = str | type[Scheduler] | SchedulerSpec
"""A name the plugin host knows, a class, or a record."""


@dataclass(frozen=True)
class Case:
    """The scheduler under one set of options, and what it is then declared to be.

    Attributes:
        label: the options in words, ``default`` if there are none.
        scheduler: made with them.
        order: declared order, weak order where stochastic.
        evaluations: declared evaluations a step, at most.
        stochastic: declared to draw noise.
    """

    label: str
    scheduler: Scheduler
    order: int
    evaluations: int
    stochastic: bool


@dataclass(frozen=True)
class Subject:
    """A scheduler and what its record declares.

    Attributes:
        spec: its record.
        target: its class.
        cases: the default options, then the declared sets; or the one set that was asked for.
        host: where sigma schedules come from.
        installed: the name the host knows it by; empty for a class that no plugin registers.
    """

    spec: SchedulerSpec
    target: type[Scheduler]
    cases: tuple[Case, ...]
    host: PluginHost = field(repr=False)
    installed: str = ""

    @classmethod
    def of(
        cls,
        source: Source,
        *,
        spec: SchedulerSpec | None = None,
        host: PluginHost | None = None,
        options: dict[str, Any] | None = None,
    ) -> Subject:
        """Resolves a name, a class or a record.

        Args:
            source: what to check.
            spec: the record of a class; by default that of a deterministic first-order method.
            host: resolves names; by default a new one with everything that is installed.
            options: check these options alone. What is declared of them is what a case with the same options
                declares; without such a case it is the order of the defaults, and a dry run shows whether they
                draw noise.
        """
        host = host or PluginHost()
        found = Resolved.of(host.schedulers, source, lambda target: spec or _assumed(target))
        cases = _declared(found.spec, found.target)
        if options is not None:
            cases = (_matching(cases, found.make(**options), options),)
        return cls(found.spec, found.target, cases, host, found.installed)

    def without(self, labels: Collection[str]) -> Self | None:
        """The same without the cases of these labels; None where none is left."""
        cases = tuple(case for case in self.cases if case.label not in labels)
        return replace(self, cases=cases) if cases else None


def _declared(spec: SchedulerSpec, target: type[Scheduler]) -> tuple[Case, ...]:
    default = Case("default", target(), spec.order, spec.evaluations, spec.stochastic)
    return (
        default,
        *(
            Case(in_words(dict(c.options)), target(**dict(c.options)), c.order, c.evaluations, c.stochastic)
            for c in spec.cases
        ),
    )


def _matching(cases: tuple[Case, ...], made: Scheduler, options: dict[str, Any]) -> Case:
    known = next((case for case in cases if case.scheduler == made), None)
    if known is not None:
        return replace(known, label=in_words(options))
    return Case(in_words(options), made, cases[0].order, cases[0].evaluations, draws(made) > 0)


def in_words(options: dict[str, Any]) -> str:
    """``order=3 eta=0.5``."""
    return " ".join(f"{name}={value}" for name, value in options.items()) or "default"


def _assumed(target: type[Scheduler]) -> SchedulerSpec:
    where = f"{target.__module__}:{target.__qualname__}"
    return SchedulerSpec(name=target.__name__.lower(), target=where, summary="", adaptive=target.adaptive)
