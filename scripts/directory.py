"""What the core knows of this repository's distributions: printed, or with ``--write`` put into its files.

``directory.json`` says which distribution has a name, of each kind; ``peer_directory.json`` which understands the names
that other programs have for schedulers; ``distributions.json`` what a distribution is and which others of this
repository it needs, in the order to install them. They are read where a name is not installed.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "core" / "src" / "latentry" / "_peers"


def projects() -> dict[str, dict[str, Any]]:
    """The plugins' project tables, by name."""
    files = sorted((ROOT / "plugins").glob("*/pyproject.toml"))
    return {file.parent.name: tomllib.loads(file.read_text(encoding="utf-8"))["project"] for file in files}


def distributions() -> dict[str, dict[str, Any]]:
    """Summary and needs of each distribution."""
    every = projects()
    return {name: {"summary": table["description"], "needs": _needs(name, every)} for name, table in every.items()}


def _needs(name: str, every: dict[str, dict[str, Any]]) -> list[str]:
    """What it needs of the repository besides the core, and what that needs before it."""
    found: dict[str, None] = {}
    for text in every[name]["dependencies"]:
        other = re.split(r"[^A-Za-z0-9-]", text)[0]
        if other in every:
            found |= dict.fromkeys([*_needs(other, every), other])
    return list(found)


def directory() -> dict[str, dict[str, str]]:
    """The distribution of each name, by kind, from the records that the plugins register."""
    from latentry._discovery._kinds import KINDS

    return {
        kind.attribute: dict(sorted((spec.name, name) for name, spec in _records(kind.hook) if not spec.unlisted))
        for kind in KINDS
    }


def peer_directory() -> dict[str, list[str]]:
    """Other programs' names for the schedulers of each distribution, in the order of the records."""
    found: dict[str, dict[str, None]] = {}
    for name, spec in _records("latentry_schedulers"):
        for peer in spec.peers:
            found.setdefault(name, {}).update(dict.fromkeys((peer.name, *peer.others)))
    return {name: list(names) for name, names in found.items()}


def _records(hook: str) -> Iterator[tuple[str, Any]]:
    """What each distribution's plugins register by this hook."""
    for name, table in projects().items():
        for module in table.get("entry-points", {}).get("latentry", {}).values():
            for spec in getattr(import_module(module), hook, tuple)():
                yield name, spec


def written() -> dict[Path, str]:
    """What the files should hold."""
    data: dict[str, Any] = {
        "directory.json": directory(),
        "peer_directory.json": peer_directory(),
        "distributions.json": distributions(),
    }
    return {PEERS / name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in data.items()}


def main() -> None:
    """Print the files, or write them."""
    for path, text in written().items():
        if "--write" in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        else:
            print(text, end="")


if __name__ == "__main__":
    main()
