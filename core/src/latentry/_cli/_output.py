"""Printing: JSON for programs, tables and blocks for people."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from latentry._cli._streams import is_terminal, speaks_unicode
from latentry._errors import visible

PIPE_WIDTH = 160
"""Columns if the output is not a terminal, so that a pipe gets one record a line."""


INVISIBLE = re.compile(r"[^\n -~]")
"""Candidates for an escape: JSON escapes ASCII's control characters itself."""


def say(text: str) -> None:
    """Print lines to standard output; what would steer the terminal is shown as an escape."""
    print(visible(text, lines=True))


def print_json(value: Any) -> None:
    """Print with sorted keys, so that two outputs can be compared."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=not speaks_unicode(sys.stdout))
    print(INVISIBLE.sub(lambda match: _json_escape(match[0]), text))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; cells are text, never markup."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    Console(width=None if is_terminal(sys.stdout) else PIPE_WIDTH).print(table)


def print_block(title: str, values: Mapping[str, Any]) -> None:
    """Print every field of one record."""
    say(title)
    for name, value in values.items():
        say(f"  {name}: {visible(words(value))}")


def words(value: Any) -> str:
    """A plain value as a person reads it."""
    match value:
        case None | "" | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(words(item) for item in value)
        case dict():
            return " ".join(f"{name}={words(item)}" for name, item in value.items() if item not in (None, "", []))
    return str(value)


def _json_escape(character: str) -> str:
    return character if visible(character) == character else json.dumps(character)[1:-1]
