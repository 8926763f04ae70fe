"""The configuration file: TOML with a table for each command, whose keys are its options."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from latentry._errors import OptionError

VARIABLE = "LATENTRY_CONFIG"
"""Names the file; empty: none is read."""


def config_file() -> Path | None:
    """Where the file is, or would be; None where none is wanted."""
    named = os.environ.get(VARIABLE)
    if named is None:
        return Path(click.get_app_dir("latentry")) / "config.toml"
    return Path(named) if named else None


def read_config() -> Mapping[str, Mapping[str, Any]]:
    """The tables of the file by command; empty if the file does not exist.

    Raises:
        OptionError: the file cannot be read, or is not made of tables.
    """
    path = config_file()
    if path is None or not path.exists():
        return {}
    import tomllib

    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(
            f"The configuration file {path} cannot be read.", why=f"{error}.", remedy="Mend it, or move it away."
        ) from error
    if loose := [name for name, table in tables.items() if not isinstance(table, dict)]:
        raise OptionError(
            f"{path}: {loose[0]} is not in a table.",
            remedy=f"Put it below the name of its command, e.g. [generate] and then {loose[0]} = …",
        )
    return tables


def check_table(command: str, table: Mapping[str, Any], settings: Iterable[str]) -> None:
    """Refuses keys that are not settings of a command, and values that an option cannot be given as.

    Raises:
        OptionError: with the nearest name.
    """
    known = sorted(settings)
    for name, value in table.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise OptionError(
                f"{config_file()}: {command}.{name} is not a setting.",
                remedy=f"Did you mean {near[0]}?" if near else f"The settings are {', '.join(known) or 'none'}.",
            )
        if not isinstance(value, (str, int, float, bool, list)):
            raise OptionError(
                f"{config_file()}: {command}.{name} is neither a text nor a number.",
                why=f"Its type is {type(value).__name__}.",
                remedy="Give a text or a number.",
            )
