"""Records as a table or JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from latentry._cli._own_models._names import PLUGIN
from latentry._cli._printing._output import Column, print_json, print_records, say, words

Record = Mapping[str, Any]
SAID = re.compile(
    r"(?:weak )?order \d|(?:first|second|third|fourth) order|deterministic|stochastic|multistep"
    r"|(?:one|two|three) evaluations? a step"
)
"""What the other columns of a scheduler's line say."""


def show(records: Sequence[Record], columns: Sequence[Column], noun: str, *, as_json: bool) -> None:
    """Print records as JSON, or as a table with a line for each."""
    if as_json:
        print_json(records)
    elif not records:
        say(f"No {noun} is installed.")
    else:
        name = Column("name", lambda item: item["select"])
        print_records((name, *columns, Column("from", origin, rank=9)), records)


def origin(item: Record) -> str:
    """Distribution and version, or how the name was given."""
    if item["distribution"] == str(PLUGIN):
        return "latentry models add"
    return f"{item['distribution']} {item['version']}".strip()


def field(name: str) -> Callable[[Record], Any]:
    """A column that shows a field as it is."""
    return lambda item: words(item[name])


def summary(*, rank: int = 0) -> Column:
    """The column that is cut where the table is too wide."""
    return Column("summary", lambda item: item["summary"], rank=rank, cut=True)


def news(text: str) -> str:
    """A scheduler's summary without what its order, its evaluations and its kind say already."""
    first, _, rest = text.partition(";")
    kept = ", ".join(part for part in first.split(", ") if not SAID.fullmatch(part.strip()))
    return "; ".join(part for part in (kept, rest.strip()) if part) or text
