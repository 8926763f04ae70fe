"""Which plugin an object comes from, found from its module: after something failed, or to read its record."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import importlib_metadata

from latentry._discovery._kinds import KINDS, Kind
from latentry._discovery._loading._contract import canonical
from latentry._discovery._loading._loose import PREFIX
from latentry._discovery._loading._sources import Provenance
from latentry._specs import SchedulerSpec, Spec
from latentry.hookspecs import GROUP


@dataclass(frozen=True)
class Owner:
    """The plugin that an object comes from.

    Attributes:
        provenance: the plugin.
        record: the name that the object is registered under, or its class.
        package: the top-level module that holds the plugin's code; empty where that is not known.
    """

    provenance: Provenance
    record: str
    package: str = ""


def owner_of(subject: object) -> Owner:
    """Who registered the class that an object, a class or a function is, or is of."""
    module = str(getattr(subject, "__module__", None) or type(subject).__module__)
    named = subject if hasattr(subject, "__qualname__") else type(subject)
    name = str(getattr(named, "__qualname__", type(subject).__qualname__))
    package = _top(module)
    for provenance, plugin in _candidates(package):
        return Owner(provenance, _record(plugin, module, name) or name, package)
    return Owner(Provenance(package, package, ""), name, package)


def _candidates(package: str) -> Iterator[tuple[Provenance, str]]:
    """The plugins whose module lies in a package, and that module."""
    if package.startswith(PREFIX):
        file = getattr(sys.modules.get(package), "__file__", "") or package
        yield Provenance(package.removeprefix(PREFIX).rpartition("_")[0], file, ""), package
        return
    for entry_point in importlib_metadata.entry_points(group=GROUP):
        if _top(entry_point.module) == package:
            distribution: Any = entry_point.dist
            yield Provenance(entry_point.name, canonical(distribution.name), distribution.version), entry_point.module


def scheduler_record(scheduler: type) -> SchedulerSpec | None:
    """The record of a scheduler's class; None where no plugin registers it, or where several records do."""
    for _, plugin in _candidates(_top(scheduler.__module__)):
        found = [spec for _, spec in _records(plugin, scheduler.__module__, scheduler.__qualname__)]
        if len(found) == 1 and isinstance(found[0], SchedulerSpec):
            return found[0]
    return None


def _record(plugin: str, module: str, name: str) -> str:
    """How the plugin's own hooks call what lies at ``module:name``; empty unless exactly one record does."""
    try:
        found = {f"{kind.noun} '{spec.name}'" for kind, spec in _records(plugin, module, name)}
    except Exception:  # the plugin has failed already: the name of the class must do
        return ""
    return found.pop() if len(found) == 1 else ""


def _records(plugin: str, module: str, name: str) -> Iterator[tuple[Kind[Any], Spec]]:
    """The records of a plugin that point at ``module:name``, from its own hooks."""
    hooks = vars(import_module(plugin))
    for kind in KINDS:
        specs = hooks[kind.hook]() if kind.hook in hooks else ()
        yield from ((kind, spec) for spec in specs if _points_at(spec.target, module, name))


def _points_at(target: str, module: str, name: str) -> bool:
    """Whether a target leads there; a loose plugin is imported under another top-level name than it writes."""
    written, _, attribute = target.partition(":")
    return attribute == name and written.partition(".")[2] == module.partition(".")[2]


def _top(module: str) -> str:
    return module.partition(".")[0]
