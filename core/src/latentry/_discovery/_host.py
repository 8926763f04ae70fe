"""The plugin host: everything a program knows about plugins, in one object that it owns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from latentry._discovery._check import TargetCheck, checked_targets, import_problems
from latentry._discovery._kinds import KINDS, SCHEDULERS, SIGMA_SCHEDULES, Kind, S
from latentry._discovery._loading._contract import canonical
from latentry._discovery._loading._installed import core_version, installed_sources
from latentry._discovery._loading._loader import Loader
from latentry._discovery._loading._loose import loose_sources
from latentry._discovery._loading._sources import Plugin, Provenance, Source
from latentry._discovery._names import Entry, Names
from latentry._discovery._problems import Ledger, Problem
from latentry._discovery._registry import Registry, Understand
from latentry._errors import PluginError
from latentry._specs import (
    AttentionBackendSpec,
    CheckpointSpec,
    CommandSpec,
    ConditionerSpec,
    ControlSpec,
    ExecutorSpec,
    GuidanceSpec,
    ModelFamilySpec,
    ModelSourceSpec,
    SchedulerSpec,
    SigmaScheduleSpec,
)


class PluginHost:
    """Finds plugins and collects their records; a broken plugin does not affect the others.

    It reads no environment variable and shares nothing with other hosts. What is wrong with a plugin is a
    value in ``problems``; the host always starts.

    Args:
        load: load only these plugins or distributions; None for all. The core's own plugin, ``latentry``, is
            no exception.
        block: leave out these plugins or distributions.
        strict: raise ``PluginError`` at the first problem instead.
        plugin_dirs: files or folders to load as plugins without installing them, whatever ``load`` says.

    Attributes:
        core_version: the installed core's version; empty where the core was never installed.
        plugins: what loaded.
        schedulers, sigma_schedules, families, attention_backends, guidance, conditioners, controls, checkpoints,
            model_sources, commands, executors: the records by name, a registry for each of ``KINDS``.
    """

    schedulers: Registry[SchedulerSpec]
    sigma_schedules: Registry[SigmaScheduleSpec]
    families: Registry[ModelFamilySpec]
    attention_backends: Registry[AttentionBackendSpec]
    guidance: Registry[GuidanceSpec]
    conditioners: Registry[ConditionerSpec]
    controls: Registry[ControlSpec]
    checkpoints: Registry[CheckpointSpec]
    model_sources: Registry[ModelSourceSpec]
    commands: Registry[CommandSpec]
    executors: Registry[ExecutorSpec]

    def __init__(
        self,
        *,
        load: Collection[str] | None = None,
        block: Collection[str] = (),
        strict: bool = False,
        plugin_dirs: Sequence[Path | str] = (),
    ) -> None:
        if isinstance(load, str) or isinstance(block, str):
            raise TypeError("load and block take a collection of names, not one string")
        self._ledger = Ledger(strict=strict)
        installed = installed_sources(self._ledger)
        loose = self._loose(plugin_dirs, {source.prefix for source in installed})
        blocked = set(map(canonical, block))
        chosen = [s for s in (*self._wanted(installed, load), *loose) if not _names(s) & blocked]
        self._left_out = frozenset(s.prefix for s in installed) - {s.prefix for s in chosen}
        self.core_version = core_version()
        loader = Loader(self._ledger, self.core_version)
        for source in chosen:
            loader.load(source)
        self.plugins: tuple[Plugin, ...] = tuple(loader.plugins)
        for kind in KINDS:
            setattr(self, kind.attribute, self._registry(kind, loader.entries))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything found wrong so far; a record whose target fails on first use adds to it."""
        return self._ledger.problems

    @property
    def distributions(self) -> frozenset[str]:
        """The distributions whose plugins are loaded."""
        return frozenset(plugin.distribution for plugin in self.plugins)

    def check(self) -> tuple[TargetCheck, ...]:
        """Imports what every record points at, and finds plugins whose import makes every listing slow.

        Whatever is wrong joins ``problems``. It takes seconds, as it imports torch and the networks' libraries.
        """
        import_problems(self.plugins, self._ledger)
        return tuple(checked_targets({kind.attribute: getattr(self, kind.attribute) for kind in KINDS}))

    def _wanted(self, installed: Sequence[Source], load: Collection[str] | None) -> Sequence[Source]:
        if load is None:
            return installed
        wanted = set(map(canonical, load))
        for name in sorted(wanted.difference(*(_names(source) for source in installed))):
            fault = PluginError("it is not installed.", remedy="`latentry plugins` lists the installed plugins.")
            self._ledger.add(Provenance(name, "", ""), "find", fault)
        return [source for source in installed if _names(source) & wanted]

    def _loose(self, paths: Iterable[Path | str], taken: set[str]) -> list[Source]:
        """The loose plugins; one whose qualified names another plugin has already is refused."""
        found: list[Source] = []
        for path in paths:
            place = Source(Provenance(Path(path).stem, str(path), ""), "", lambda: None)
            for source in self._ledger.attempt(place, "find", partial(loose_sources, Path(path))) or ():
                if source.prefix in taken:
                    fault = PluginError(
                        f"another plugin is already called '{source.prefix}'.", remedy="Rename the file."
                    )
                    self._ledger.add(source.owner, "find", fault)
                else:
                    taken.add(source.prefix)
                    found.append(source)
        return found

    def _registry(self, kind: Kind[S], entries: Mapping[str, Sequence[Entry[Any]]]) -> Registry[S]:
        names: Names[S] = Names(entries[kind.attribute])
        for name, claims in names.contested.items():
            for claim in claims:
                self._ledger.add(claim.source.owner, "collision", _collision(kind, name, claim, claims))
        return Registry(kind, names, self._ledger, self._left_out, self._understanding(kind))

    def _understanding(self, kind: Kind[Any]) -> Understand | None:
        """How names of a kind that are not registered are resolved."""
        return {SCHEDULERS: self._understood_scheduler, SIGMA_SCHEDULES: self._understood_sigmas}.get(kind)

    def _understood_scheduler(self, name: str) -> tuple[str, Mapping[str, Any]]:
        from latentry._peers._names import understand  # on use: a listing names nothing

        meaning = understand(self, name)
        return meaning.scheduler, meaning.options

    def _understood_sigmas(self, name: str) -> tuple[str, Mapping[str, Any]]:
        from latentry._peers._names import understand_sigmas

        return understand_sigmas(self, name), {}


def _names(source: Source) -> set[str]:
    """What ``load`` and ``block`` may call it."""
    return {canonical(name) for name in (source.owner.plugin, source.owner.distribution, source.prefix)}


def _collision(kind: Kind[Any], name: str, claim: Entry[Any], claims: Sequence[Entry[Any]]) -> PluginError:
    others = " and ".join(dict.fromkeys(other.source.owner.label for other in claims if other is not claim))
    what = "name" if claim.spec.name == name else "alias"
    return PluginError(
        f"it registers the {kind.noun} {what} '{name}', and so does {others}; the short name can be used for neither.",
        remedy=f"Use {' or '.join(other.qualified for other in claims)}.",
    )
