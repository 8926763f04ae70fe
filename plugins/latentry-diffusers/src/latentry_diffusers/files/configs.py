"""Reads the configurations of a folder in the diffusers layout; imports nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentry import ModelError

Kinds = Mapping[str, type | tuple[type, ...]]
"""The keys that a configuration must have, and their types."""


def read_json(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None where there is no such file, or it holds something else."""
    try:
        if not file.is_file():  # a pipe would keep its reader waiting
            return None
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def read_config(file: Path, kinds: Kinds | None = None, within: str = "") -> dict[str, Any]:
    """The configuration in a JSON file.

    Args:
        file: to be read.
        kinds: the keys that it must have, and their types.
        within: the key under which it is, where the file describes a larger model.

    Raises:
        ModelError: it is missing, cannot be read, or lacks a key of the right type.
    """
    content = read_json(file)
    if content is None:
        why = "It is not a JSON object." if file.exists() else "There is no such file."
        raise ModelError(
            f"{file} cannot be read.", why=why, remedy="Download the checkpoint again, with all its files."
        )
    if isinstance(content.get(within), dict):
        content = content[within]
    for key, kind in (kinds or {}).items():
        if not isinstance(content.get(key), kind):
            names = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
            raise ModelError(
                f"{file} cannot be used.",
                why=f"{key!r} must be of type {names}; it is {content.get(key, 'missing')!r}.",
                remedy="Download the checkpoint again.",
            )
    return content


def read_configs(files: Mapping[str, tuple[Path, Kinds, str]]) -> dict[str, dict[str, Any]]:
    """Several configurations by name; see ``read_config`` for what is given for each."""
    return {name: read_config(*given) for name, given in files.items()}


def check_agreement(path: Path, claims: Mapping[str, tuple[object, str, object]]) -> None:
    """Refuses a checkpoint whose parts do not fit together, before any weight is read.

    Args:
        path: the checkpoint folder.
        claims: by the name of a value: the value, the name of the one that it must equal, and the value of that one.

    Raises:
        ModelError: two values differ.
    """
    for one, (value, other, wanted) in claims.items():
        if value != wanted:
            raise ModelError(
                f"The parts of {path} do not belong together.",
                why=f"{one} is {value}, and {other} is {wanted}.",
                remedy="Download the checkpoint again, with all its files.",
            )
