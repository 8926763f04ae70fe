"""A thorough check of a host's plugins: what a listing does not do, because it would cost seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from latentry._discovery._kinds import KINDS
from latentry._discovery._loading._sources import Plugin
from latentry._discovery._problems import Ledger
from latentry._errors import PluginError

if TYPE_CHECKING:
    from latentry._discovery._registry import Registry
    from latentry._specs import Spec

SLOW = 1.0
"""Seconds that the import of a registering module may take; those of this repository take about a millisecond."""


@dataclass(frozen=True)
class TargetCheck:
    """A record's field that points at code, imported.

    Attributes:
        record: ``distribution:name``.
        field: e.g. ``target`` or ``detector``.
        target: what the field says.
        seconds: how long its import took after those before it.
        found: whether it exists.
    """

    record: str
    field: str
    target: str
    seconds: float
    found: bool


def import_problems(plugins: tuple[Plugin, ...], ledger: Ledger) -> None:
    """Notes each plugin that makes every listing slow."""
    for plugin in plugins:
        if plugin.heavy:
            packages = ", ".join(plugin.heavy)
            fault = PluginError(
                f"importing it imports {packages}.",
                why="The module that registers is imported by every listing.",
                remedy="Import it in the module that the target is in.",
            )
            ledger.add(plugin, "import", fault)
        if plugin.import_seconds > SLOW:
            fault = PluginError(
                f"importing it takes {plugin.import_seconds:.1f} s; it may take {SLOW:g} s.",
                why="The module that registers is imported by every listing.",
                remedy="Move what is slow to the module that the target is in.",
            )
            ledger.add(plugin, "import", fault)


def checked_targets(registries: dict[str, Registry[Spec]]) -> Iterator[TargetCheck]:
    """Imports what every record points at; what fails joins the host's problems."""
    for kind in KINDS:
        registry = registries[kind.attribute]
        for name in registry:
            spec = registry[name]
            for field in filter(lambda field: getattr(spec, field), spec.TARGETS):
                began = perf_counter()
                found = _resolves(registry, name, field)
                seconds = perf_counter() - began
                yield TargetCheck(registry.qualified(name), field, getattr(spec, field), seconds, found)


def _resolves(registry: Registry[Spec], name: str, field: str) -> bool:
    try:
        registry.load(name, field)
    except PluginError:
        return False
    return True
