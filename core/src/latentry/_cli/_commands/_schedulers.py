"""``latentry schedulers``: what is installed; one in full; and with ``--verbose`` measured order and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from latentry._cli._common_options import complete_names, json_option, names_argument
from latentry._cli._global_options import open_host
from latentry._cli._listing._filters import for_few_steps
from latentry._cli._listing._records import record
from latentry._cli._listing._scheduler import print_scheduler
from latentry._cli._listing._tables import field, news, show
from latentry._cli._printing._output import Column, print_json, print_prose, print_table, say
from latentry._cli._printing._progress import following
from latentry._discovery import PluginHost
from latentry._errors import OptionError

if TYPE_CHECKING:
    from latentry._files._finding._wanted import Wanted
    from latentry.testing import Bench, Measured

COLUMNS = (
    Column("order", field("order")),
    Column("evals", lambda item: str(item["evaluations"] or "any")),
    Column("kind", lambda item: "SDE" if item["stochastic"] else "ODE"),
    Column("aliases", field("aliases"), rank=3),
    Column("processes", field("processes"), rank=2),
    Column("summary", lambda item: news(item["summary"]), cut=True),
)
LEGEND = (
    "evals: evaluations of the network a step. ODE: deterministic; SDE: draws fresh noise, and its order is the weak "
    "one. `latentry schedulers NAME` describes one in full."
)
Findings = Mapping[str, "tuple[Measured, ...] | str"]
"""By scheduler: what was measured, or why nothing was."""


@click.command()
@names_argument("schedulers")
@click.option(
    "--for",
    "model",
    metavar="MODEL",
    shell_complete=complete_names("checkpoints"),
    help="Those that fit a model, family or variant; preferred ones first.",
)
@click.option("--stochastic/--deterministic", default=None, help="Those that draw fresh noise, or those that do not.")
@click.option("--few-steps", is_flag=True, help="Those with a sigma schedule of their own for 8 steps and fewer.")
@click.option("--all", "everything", is_flag=True, help="Those of other programs too, as PACKAGE:NAME.")
@json_option
@click.option("--verbose", is_flag=True, help="Describe each in full, and measure order and errors.")
@click.pass_context
def schedulers(
    context: click.Context,
    names: Sequence[str],
    model: str | None,
    stochastic: bool | None,
    few_steps: bool,
    everything: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """List the schedulers, or describe some in full.

    NAME can be another program's name for a scheduler, too.
    """
    if names and (model is not None or stochastic is not None or few_steps or everything):
        raise OptionError("Names and filters cannot be given together.", remedy="Leave one of them out.")
    host = open_host(context)
    chosen = [host.schedulers.listed(name) for name in names] or _filtered(
        host, host.schedulers.names(everything=everything), model, stochastic, few_steps
    )
    records = [record(host.schedulers, one) for one in chosen]
    if verbose:
        _print_measured(host, records, as_json=as_json)
    elif names and not as_json:
        for number, item in enumerate(records):
            if number:
                say("")
            print_scheduler(host, item)
    elif names or model or stochastic is not None or few_steps:
        show(records, COLUMNS, "scheduler like that", as_json=as_json)
    else:
        show(records, COLUMNS, "scheduler", as_json=as_json)
    if not (as_json or verbose or names) and records:
        say("")
        print_prose(LEGEND)


def _filtered(
    host: PluginHost, names: Sequence[str], model: str | None, stochastic: bool | None, few_steps: bool
) -> list[str]:
    """Those of the names that the filters keep: the preferred ones first, then deterministic and stochastic ones."""
    wanted = None if model is None else _wanted(host, model)
    preferred = wanted.preferred if wanted else ()
    kept = []
    for name in names:
        spec = host.schedulers[name]
        if (
            (wanted is None or wanted.fits(spec))
            and stochastic in (None, spec.stochastic)
            and (not few_steps or for_few_steps(spec))
        ):
            kept.append(name)

    def place(name: str) -> tuple[int, bool]:
        qualified = host.schedulers.qualified(name)
        return (preferred.index(qualified) if qualified in preferred else len(preferred)), host.schedulers[
            name
        ].stochastic

    return sorted(kept, key=place)


def _wanted(host: PluginHost, model: str) -> Wanted:
    from latentry._files._finding._wanted import wanted_by  # on use: it opens files of models

    try:
        return wanted_by(host, model)
    except OptionError as error:
        error.what = f"--for {model}: {error.what}"
        raise


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


def _print_measured(host: PluginHost, records: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    names = [item["select"] for item in records]
    findings = dict(zip(names, _measured(host, names), strict=True))
    if as_json:
        print_json([{**item, **_plain(findings[item["select"]])} for item in records])
        return
    for item in records:
        print_scheduler(host, item)
        _print_findings(findings[item["select"]])


def _print_findings(found: tuple[Measured, ...] | str) -> None:
    from latentry.testing._measuring._bench import EVALUATIONS
    from latentry.testing._measuring._tables import READING, rows

    if isinstance(found, str):
        say(f"\nNot measured: {found}\n")
        return
    say("\nMeasured, by evaluations of the network:")
    print_table(("process", "order", "error", *map(str, EVALUATIONS)), list(rows(found)))
    say(f"{READING}\n")
