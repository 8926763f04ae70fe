"""The judge's results as tables for people and as data for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.table import Table

from latentry_shapes._scoring import COLUMNS, Share
from latentry_shapes.edit_judge import BARS, MOST_CHANGE, EditReport

Rows = Mapping[str, Mapping[str, Share]]


def _table(title: str, counts: Mapping[str, Share], more: Sequence[str] = ()) -> Table:
    """An empty table, each column headed by how many pictures it counts."""
    table = Table("pictures", title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in COLUMNS:
        table.add_column(f"{column}\nof {counts[column].of}", justify="right")
    for column in more:
        table.add_column(column, justify="right")
    return table


def _percents(row: Mapping[str, Share]) -> list[str]:
    return [f"{row[column].percent:.1f} %" for column in COLUMNS]


def _shares_as_data(row: Mapping[str, Share]) -> dict[str, object]:
    return {column: {**asdict(share), "percent": share.percent} for column, share in row.items()}


def as_table(rows: Rows, prompts: int) -> Table:
    """Percent of right pictures, by row and column."""
    table = _table(f"{prompts} held-out prompts", next(iter(rows.values())))
    for name, row in rows.items():
        table.add_row(name, *_percents(row))
    return table


def edits_as_table(report: EditReport) -> Table:
    """The same for edits, with the change of the kept part in 255ths."""
    rows = report.rows
    columns = ("kept part\n(of 255)", "things in it\n(of 255)")
    table = _table(f"{len(report.edits)} held-out edits", next(iter(rows.values())).shares, columns)
    for name, row in rows.items():
        table.add_row(name, *_percents(row.shares), f"{row.change:.2f}", f"{row.change_of_things:.2f}")
    return table


def as_data(rows: Rows, prompts: int, bars: Mapping[str, Mapping[str, float]]) -> dict[str, object]:
    """JSON data: counts and percent, and the bars."""
    return {"prompts": prompts, "rows": {name: _shares_as_data(row) for name, row in rows.items()}, "bars": bars}


def edits_as_data(report: EditReport) -> dict[str, object]:
    """JSON data of the edits."""
    rows = {
        name: {**_shares_as_data(row.shares), "kept part": row.change, "things in it": row.change_of_things}
        for name, row in report.rows.items()
    }
    return {"edits": len(report.edits), "rows": rows, "bars": {**BARS, "kept part": MOST_CHANGE}}
