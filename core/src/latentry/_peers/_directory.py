"""First-party names and the distributions that provide them, installed or not."""

from __future__ import annotations

from typing import Any


def distributions(attribute: str) -> dict[str, str]:
    """The distribution of each name of one kind.

    Args:
        attribute: the host's attribute that holds the kind, e.g. ``schedulers``.
    """
    names: dict[str, str] = read("directory.json").get(attribute, {})
    return names


def read(file: str) -> dict[str, Any]:
    """One of this room's JSON files."""
    import json
    from importlib import resources  # on use: with what it brings it is a tenth of what ``import latentry`` loads

    content: dict[str, Any] = json.loads((resources.files(__package__) / file).read_text(encoding="utf-8"))
    return content
