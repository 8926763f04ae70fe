"""Plugins that are installed: distributions with an entry point in the group."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import importlib_metadata

from latentry._discovery._loading._contract import CORE, canonical
from latentry._discovery._loading._metadata import Metadata, metadata_of
from latentry._discovery._loading._sources import Provenance, Source
from latentry._discovery._problems import Ledger
from latentry._errors import PluginError
from latentry.hookspecs import GROUP


def core_version() -> str:
    """The installed core's version; empty where the core runs from a folder nobody installed."""
    try:
        return metadata_of(importlib_metadata.distribution(CORE)).version
    except importlib_metadata.PackageNotFoundError:
        return ""


def installed_sources(ledger: Ledger) -> list[Source]:
    """Every entry point of the group, sorted, so that nothing depends on the order of folders."""
    found: dict[str, Source] = {}
    # without entries that are not there: importlib_metadata takes python311.zip for an archive, for each search anew
    path = [entry for entry in sys.path if not entry or os.path.exists(entry)]
    for distribution in importlib_metadata.distributions(path=path):
        text = distribution.read_text("entry_points.txt")
        if not text or f"[{GROUP}]" not in text:
            continue  # most distributions; their metadata stays unread
        damaged = Source(Provenance(_folder(distribution), "", ""), "", lambda: None)
        sources = ledger.attempt(damaged, "find", partial(_sources_of, distribution, text, path))
        for source in sources or ():
            found.setdefault(source.key, source)
    return [found[key] for key in sorted(found)]


def _sources_of(distribution: Any, text: str, path: list[str]) -> list[Source]:
    try:
        metadata = metadata_of(distribution)
        if _first(metadata.name, path).read_text("entry_points.txt") != text:
            return []  # hidden by another copy that comes first on the path
        return list(_read(distribution, metadata))
    except Exception as error:
        raise PluginError(
            "the metadata of its distribution cannot be read.",
            why=f"{type(error).__name__}: {error}",
            remedy=f"Install it again, or remove {_folder(distribution)}.",
        ) from error


def _first(name: str, path: list[str]) -> Any:
    """The distribution of a name that imports find; what is left of one that was removed does not count."""
    for copy in importlib_metadata.distributions(name=name, path=path):
        if copy.read_text("METADATA") or copy.read_text("PKG-INFO"):
            return copy
    raise importlib_metadata.PackageNotFoundError(name)


def _read(distribution: Any, metadata: Metadata) -> Iterator[Source]:
    name, version = canonical(metadata.name), metadata.version
    for entry_point in distribution.entry_points.select(group=GROUP):
        yield Source(Provenance(entry_point.name, name, version), name, entry_point.load, metadata.requires)


def _folder(distribution: Any) -> str:
    return str(getattr(distribution, "_path", "a distribution without a folder"))
