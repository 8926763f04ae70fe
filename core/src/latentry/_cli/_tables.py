"""Records as a table, a block for each, or JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from latentry._cli._output import print_block, print_json, print_table, say, words

Record = Mapping[str, Any]
Columns = Mapping[str, Callable[[Record], Any]]


def show(records: Sequence[Record], columns: Columns, noun: str, *, as_json: bool, verbose: bool) -> None:
    """Print records as JSON, as a block for each (``verbose``), or as a table."""
    if as_json:
        print_json(records)
    elif not records:
        say(f"No {noun} is installed.")
    elif verbose:
        for item in records:
            print_block(item["select"], item)
    else:
        columns = {"name": lambda item: item["select"], **columns, "from": origin}
        print_table(list(columns), [[words(column(item)) for column in columns.values()] for item in records])


def origin(item: Record) -> str:
    """Distribution and version."""
    return f"{item['distribution']} {item['version']}".strip()


def field(name: str) -> Callable[[Record], Any]:
    """A column that shows a field as it is."""
    return lambda item: item[name]
