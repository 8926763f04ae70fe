"""Loading one plugin: contract, import, hooks, records. What fails is rolled back and noted as a problem."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from time import perf_counter
from typing import Any

from latentry._discovery._kinds import KINDS, Kind
from latentry._discovery._loading import _hooks
from latentry._discovery._loading._contract import check_api, check_requirements
from latentry._discovery._loading._records import check_record, check_type
from latentry._discovery._loading._sources import Plugin, Source
from latentry._discovery._names import Entry
from latentry._discovery._problems import Ledger
from latentry._errors import PluginError
from latentry._specs import Spec

HEAVY = ("torch", "diffusers", "transformers")


class Loader:
    """Loads plugins one by one.

    Attributes:
        plugins: those that loaded.
        entries: their records by the host's attribute.
    """

    def __init__(self, ledger: Ledger, core: str) -> None:
        self.plugins: list[Plugin] = []
        self.entries: dict[str, list[Entry[Any]]] = {kind.attribute: [] for kind in KINDS}
        self._ledger = ledger
        self._core = core
        self._manager = _hooks.new_manager()

    def load(self, source: Source) -> None:
        """Load one plugin; whatever it does, the others are not touched."""
        light = [name for name in HEAVY if name not in sys.modules]
        began = perf_counter()
        hooks = self._registered(source)
        seconds = perf_counter() - began
        entries = None if hooks is None else self._records(source, hooks)
        if entries is None:
            return
        provides: dict[str, tuple[str, ...]] = {}
        for attribute, accepted in entries.items():
            self.entries[attribute] += accepted
            provides[attribute] = tuple(entry.spec.name for entry in accepted)
        heavy = tuple(name for name in light if name in sys.modules)
        who = (source.owner.plugin, source.owner.distribution, source.owner.version)
        self.plugins.append(Plugin(*who, provides, source.path, heavy, seconds))

    def _registered(self, source: Source) -> _hooks.HookSet | None:
        """The registered hooks.

        The contract comes first: pluggy would reject a newer core's hook before any version could be told.
        """
        ledger = self._ledger
        if self._core:
            check = partial(check_requirements, source.owner.distribution, source.requires, self._core)
            if not ledger.survives(source, "contract", check):
                return None
        imported = ledger.attempt(source, "import", lambda: (source.load(),))
        if imported is None:
            return None
        return ledger.attempt(source, "register", lambda: _hooks.register(self._manager, source.key, *imported))

    def _records(self, source: Source, hooks: _hooks.HookSet) -> dict[str, list[Entry[Any]]] | None:
        """The records by attribute; None, and the plugin unregistered, where one is for another contract."""
        implemented = _hooks.hook_names(self._manager, hooks)
        specs: dict[Kind[Any], list[Spec]] = {}
        for kind in KINDS:
            if kind.hook in implemented:
                ask = partial(_hooks.call, self._manager, hooks, kind)
                specs[kind] = self._typed(source, kind, self._ledger.attempt(source, "hook", ask) or [])
        for spec in (spec for typed in specs.values() for spec in typed):
            if not self._ledger.survives(source, "contract", partial(check_api, source.owner.distribution, spec)):
                self._manager.unregister(hooks)
                return None
        return {kind.attribute: self._accepted(source, kind, typed) for kind, typed in specs.items()}

    def _typed(self, source: Source, kind: Kind[Any], records: Iterable[object]) -> list[Spec]:
        checked = [self._ledger.attempt(source, "record", partial(check_type, kind, record)) for record in records]
        return [spec for spec in checked if spec is not None]

    def _accepted(self, source: Source, kind: Kind[Any], specs: Iterable[Spec]) -> list[Entry[Any]]:
        """The records that are sound; of two with one name in one distribution, the first."""
        taken = {entry.qualified for entry in self.entries[kind.attribute]}
        accepted: list[Entry[Any]] = []
        for spec in specs:
            if not self._ledger.survives(source, "record", partial(check_record, kind, spec)):
                continue
            entry = Entry(spec, source)
            if entry.qualified in taken:
                fault = PluginError(f"it registers the {kind.noun} '{spec.name}' twice; the first one is used.")
                self._ledger.add(source.owner, "record", fault)
                continue
            taken.add(entry.qualified)
            accepted.append(entry)
        return accepted
