"""``latentry matrix``: which schedulers fit which models, for each task, and why others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, get_args

import click

from latentry._cli._common_options import json_option, names_argument
from latentry._cli._global_options import open_host
from latentry._cli._printing._output import Column, print_json, print_records, say
from latentry._specs import Task

if TYPE_CHECKING:
    from latentry._files._compatible import Compatibility


@click.command()
@names_argument("checkpoints")
@click.option("--task", type=click.Choice(get_args(Task)), help="Only this task.")
@json_option
@click.pass_context
def matrix(context: click.Context, names: Sequence[str], task: str | None, as_json: bool) -> None:
    """List the schedulers that fit each model, the best first.

    NAME is an installed model, a family, a variant or a path; all families if not given.
    """
    from latentry._files._compatible import compatible

    host = open_host(context)
    found = {
        name: [row for row in compatible(host, name) if task in (None, row.task)] for name in names or host.families
    }
    if as_json:
        print_json({name: [asdict(row) | {"fits": row.fits} for row in rows] for name, rows in found.items()})
        return
    for number, (name, rows) in enumerate(found.items()):
        if number:
            say("")
        say(name)
        print_records(COLUMNS, rows)


def _verdict(row: Compatibility) -> str:
    return f"recommended {row.recommended}" if row.fits and row.recommended else "yes" if row.fits else "no"


COLUMNS = (
    Column("variant", lambda row: row.variant),
    Column("task", lambda row: row.task),
    Column("scheduler", lambda row: row.scheduler),
    Column("fits", _verdict),
    Column("reason", lambda row: row.why_not, cut=True),
)
