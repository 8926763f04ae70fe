"""Plugins that are installed: distributions with an entry point in the group."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import importlib_metadata

from latentry._discovery._loading._contract import CORE, canonical
from latentry._discovery._loading._sources import Provenance, Source
from latentry._discovery._problems import Ledger
from latentry._errors import PluginError
from latentry.hookspecs import GROUP


def core_version() -> str:
    """The installed core's version; empty where the core runs from a folder nobody installed."""
    try:
        return importlib_metadata.version(CORE)
    except importlib_metadata.PackageNotFoundError:
        return ""


def installed_sources(ledger: Ledger) -> list[Source]:
    """Every entry point of the group, sorted, so that nothing depends on the order of folders."""
    found: dict[str, Source] = {}
    for distribution in importlib_metadata.distributions():
        text = distribution.read_text("entry_points.txt")
        if not text or f"[{GROUP}]" not in text:
            continue  # most distributions; their metadata stays unread
        damaged = Source(Provenance(_folder(distribution), "", ""), "", lambda: None)
        sources = ledger.attempt(damaged, "find", partial(_sources_of, distribution, text))
        for source in sources or ():
            found.setdefault(source.key, source)
    return [found[key] for key in sorted(found)]


def _sources_of(distribution: Any, text: str) -> list[Source]:
    try:
        metadata = distribution.metadata  # parsed anew each time it is asked for
        if importlib_metadata.distribution(metadata["Name"]).read_text("entry_points.txt") != text:
            return []  # hidden by another copy that comes first on the path
        return list(_read(distribution, metadata))
    except Exception as error:
        raise PluginError(
            "the metadata of its distribution cannot be read.",
            why=f"{type(error).__name__}: {error}",
            remedy=f"Install it again, or remove {_folder(distribution)}.",
        ) from error


def _read(distribution: Any, metadata: Any) -> Iterator[Source]:
    name, version = canonical(metadata["Name"]), metadata["Version"]
    requires = tuple(metadata.get_all("Requires-Dist") or distribution.requires or ())  # the latter reads eggs, too
    for entry_point in distribution.entry_points.select(group=GROUP):
        yield Source(Provenance(entry_point.name, name, version), name, entry_point.load, requires)


def _folder(distribution: Any) -> str:
    return str(getattr(distribution, "_path", "a distribution without a folder"))
