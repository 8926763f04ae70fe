"""The repository: where it is, its distributions, and what they register."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latentry import PluginHost
from latentry._discovery._kinds import Kind
from latentry._specs import Spec

ROOT = Path(__file__).resolve().parents[2]


def distributions() -> dict[str, dict[str, Any]]:
    """The project tables of the repository, by distribution, the core first."""
    files = [ROOT / "core" / "pyproject.toml", *sorted((ROOT / "plugins").glob("*/pyproject.toml"))]
    found = [tomllib.loads(file.read_text(encoding="utf-8"))["project"] for file in files]
    return {project["name"]: project for project in found}


def folder_of(distribution: str) -> Path:
    """Where a distribution of the repository lies."""
    return ROOT / "core" if distribution == "latentry" else ROOT / "plugins" / distribution


def records(host: PluginHost, kind: Kind[Any], distribution: str) -> Iterator[Spec]:
    """What a distribution registers of a kind."""
    registry = getattr(host, kind.attribute)
    for name in registry:
        if registry.provenance(name).distribution == distribution:
            yield registry[name]
