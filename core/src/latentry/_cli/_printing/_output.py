"""Printing: JSON for programs, tables and blocks for people."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from textwrap import fill
from typing import Any
from unicodedata import east_asian_width

from latentry._cli._printing._streams import is_terminal, speaks_unicode
from latentry._errors import visible

ENDLESS = 10_000
"""Columns if the output is not a terminal, so that a pipe gets one record a line."""
PROSE_WIDTH = 100
ELLIPSIS = "…"
GAP, LEAST = 2, 40
"""Columns between columns; and of one that is cut, at least, before another is added."""


INVISIBLE = re.compile(r"[^\n -~]")
"""Candidates for an escape: JSON escapes ASCII's control characters itself."""


def say(text: str) -> None:
    """Print lines to standard output; what would steer the terminal is shown as an escape."""
    print(visible(text, lines=True))


def print_json(value: Any) -> None:
    """Print with sorted keys, so that two outputs can be compared."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=not speaks_unicode(sys.stdout))
    print(INVISIBLE.sub(lambda match: _json_escape(match[0]), text))


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        cell: its text for a record.
        rank: 0 for one that is always there; others come, the lowest first, where the terminal has room for them.
        cut: it is cut with an ellipsis where the table is too wide; of the others nothing is.
    """

    title: str
    cell: Callable[[Any], str]
    rank: int = 0
    cut: bool = False


def print_records(columns: Sequence[Column], records: Sequence[Any]) -> None:
    """Print a line for each record. Nothing is broken: what has no room is left out, or cut where the column allows it.

    In a pipe nothing is left out or cut.
    """
    cells = {column.title: [visible(column.cell(record)) for record in records] for column in columns}
    widths = {title: max(map(_width, (title, *texts))) for title, texts in cells.items()}
    shown = _shown(columns, widths)
    spare = _room() - sum(widths[column.title] + GAP for column in shown if not column.cut)
    for column in shown:
        if column.cut and widths[column.title] > spare:
            widths[column.title] = max(spare, len(column.title))
            cells[column.title] = [_cut(text, widths[column.title]) for text in cells[column.title]]

    def line(texts: Iterable[str]) -> str:
        pairs = zip(shown, texts, strict=True)
        return (" " * GAP).join(text + " " * (widths[one.title] - _width(text)) for one, text in pairs).rstrip()

    print(_bold(line(column.title for column in shown)))
    for number in range(len(records)):
        print(line(cells[column.title][number] for column in shown))


def _shown(columns: Sequence[Column], widths: Mapping[str, int]) -> list[Column]:
    """The columns that there is room for, those of the lowest rank first."""
    least = {
        column.title: min(widths[column.title], LEAST) if column.cut else widths[column.title] for column in columns
    }
    taken = [column for column in columns if column.rank == 0]
    for column in sorted((column for column in columns if column.rank), key=lambda column: column.rank):
        if sum(least[one.title] + GAP for one in (*taken, column)) - GAP <= _room():
            taken.append(column)
    return [column for column in columns if column in taken]


def _bold(text: str) -> str:
    plain = not is_terminal(sys.stdout) or os.environ.get("TERM") == "dumb" or "NO_COLOR" in os.environ
    return text if plain else f"\x1b[1m{text}\x1b[0m"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; cells are text, never markup. Those of the first column are not broken."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    Console(width=_room()).print(table)


def print_prose(text: str, *, indent: int = 0, hanging: int | None = None) -> None:
    """Print a paragraph in lines that fit; further lines can be indented otherwise than the first."""
    first, further = " " * indent, " " * (indent if hanging is None else hanging)
    wide = prose_width()
    say(
        fill(
            visible(text),
            wide,
            initial_indent=first,
            subsequent_indent=further,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def prose_width() -> int:
    """Columns of lines of prose."""
    return max(min(_room(), PROSE_WIDTH), 20)


def _room() -> int:
    """Columns of the terminal; without one, enough for any line."""
    return get_terminal_size().columns if is_terminal(sys.stdout) else ENDLESS


def _width(text: str) -> int:
    """Columns that a text takes; letters of East Asian scripts take two."""
    return len(text) if text.isascii() else sum(1 + (east_asian_width(letter) in "WF") for letter in text)


def _cut(text: str, limit: int) -> str:
    if _width(text) <= limit:
        return text
    while text and _width(text) > limit - 1:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def print_block(title: str, values: Mapping[str, Any]) -> None:
    """Print every field of one record: a line each in a pipe, and on a terminal lines that fit."""
    say(title)
    for name, value in values.items():
        text = f"{name}: {visible(words(value))}"
        if is_terminal(sys.stdout):
            print_prose(text, indent=2, hanging=4)
        else:
            say(f"  {text}")


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
