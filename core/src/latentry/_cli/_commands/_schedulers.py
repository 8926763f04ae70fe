"""``latentry schedulers``: what is installed, and with ``--verbose`` its measured order and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from latentry._cli._common_options import json_option
from latentry._cli._global_options import open_host
from latentry._cli._output import print_block, print_json, print_table, say
from latentry._cli._progress import following
from latentry._cli._records import record
from latentry._cli._tables import Columns, field, show
from latentry._discovery import PluginHost

if TYPE_CHECKING:
    from latentry.testing import Bench, Measured

COLUMNS: Columns = {
    "aliases": field("aliases"),
    "processes": field("processes"),
    "order": field("order"),
    "evaluations": lambda item: item["evaluations"] or "varies",
    "stochastic": field("stochastic"),
    "summary": field("summary"),
}
Findings = Mapping[str, "tuple[Measured, ...] | str"]
"""By scheduler: what was measured, or why nothing was."""


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
@click.option("--verbose", is_flag=True, help="Print every field, and measure order and errors.")
@click.pass_context
def schedulers(context: click.Context, names: Sequence[str], as_json: bool, verbose: bool) -> None:
    """List the schedulers, or those with the given names."""
    host = open_host(context)
    names = [_listed(host, name) for name in names] or list(host.schedulers)
    records = [record(host.schedulers, one) for one in names]
    if not verbose:
        show(records, COLUMNS, "scheduler", as_json=as_json, verbose=False)
        return
    findings = dict(zip(names, _measured(host, names), strict=True))
    if as_json:
        print_json([{**item, **_plain(findings[item["select"]])} for item in records])
    else:
        for item in records:
            _print(item, findings[item["select"]])


def _listed(host: PluginHost, name: str) -> str:
    """The name under which a scheduler is listed; another program's name for it can be given too."""
    qualified = host.schedulers.qualified(name)
    return next(listed for listed in host.schedulers if host.schedulers.qualified(listed) == qualified)


def _measured(host: PluginHost, names: Sequence[str]) -> Iterator[tuple[Measured, ...] | str]:
    from latentry._contract._progress import ProgressEvent
    from latentry.testing import Bench

    bench = Bench(host)
    with following(silent=False) as progress:
        for done, name in enumerate(names):
            if progress is not None:
                progress(ProgressEvent("sample", done, len(names), f"measuring {name}"))
            yield _found(bench, name)


def _found(bench: Bench, name: str) -> tuple[Measured, ...] | str:
    try:
        return tuple(bench.measure(name))
    except Exception as error:  # a third party's: it must not keep the others from being listed
        return f"{type(error).__name__}: {error}".splitlines()[0]


def _plain(found: tuple[Measured, ...] | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"measured": [], "not_measured": found}
    return {"measured": [asdict(one) for one in found], "not_measured": ""}


def _print(item: Mapping[str, Any], found: tuple[Measured, ...] | str) -> None:
    from latentry.testing._measuring._bench import EVALUATIONS
    from latentry.testing._measuring._tables import READING, rows

    print_block(item["select"], item)
    if isinstance(found, str):
        say(f"  not measured: {found}\n")
        return
    columns = ("process", "order", "error", *(f"{count} evaluations" for count in EVALUATIONS))
    print_table(columns, list(rows(found)))
    say(f"{READING}\n")
