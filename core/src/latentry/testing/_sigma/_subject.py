"""What is checked: a sigma schedule's record and its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from latentry._discovery import PluginHost
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._specs import SigmaScheduleSpec
from latentry.testing._kit._checked import Whole
from latentry.testing._kit._resolved import Resolved

SigmaSource = str | type[SigmaSchedule] | SigmaScheduleSpec
"""A name the plugin host knows, a class, or a record."""


@dataclass(frozen=True)
class SigmaSubject(Whole):
    """A sigma schedule and its record.

    Attributes:
        spec: its record.
        target: its class.
        options: under which it is checked.
        host: where it comes from.
        installed: the name the host knows it by; empty for a class that no plugin registers.
    """

    spec: SigmaScheduleSpec
    target: type[SigmaSchedule]
    options: Mapping[str, Any]
    host: PluginHost = field(repr=False)
    installed: str = ""

    @classmethod
    def of(
        cls,
        source: SigmaSource,
        *,
        spec: SigmaScheduleSpec | None = None,
        host: PluginHost | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> SigmaSubject:
        """Resolves a name, a class or a record.

        Args:
            source: what to check.
            spec: the record of a class; by default one for the processes in its ``kinds``.
            host: resolves names; by default a new one with everything that is installed.
            options: of the schedule.
        """
        host, options = host or PluginHost(), dict(options or {})
        found = Resolved.of(host.sigma_schedules, source, lambda target: spec or _assumed(target))
        return cls(found.spec, found.target, options, host, found.installed)

    @property
    def schedule(self) -> SigmaSchedule:
        """The schedule with its options."""
        return self.target(**self.options)


def _assumed(source: type[SigmaSchedule]) -> SigmaScheduleSpec:
    where = f"{source.__module__}:{source.__qualname__}"
    return SigmaScheduleSpec(name=source.__name__.lower(), target=where, summary="", processes=source.kinds)
