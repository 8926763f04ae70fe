"""``latentry check``: the conformance checks of installed schedulers, outside pytest."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentry._cli._host import open_host
from latentry._cli._listing import Json, Verbose
from latentry._cli._output import print_json, print_table
from latentry._cli._values import named_values
from latentry._discovery import PluginHost
from latentry._errors import OptionError

if TYPE_CHECKING:
    from latentry.testing import CheckResult

COLUMNS = ("check", "case", "process", "declared", "measured", "verdict")


def check(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Scheduler; without it all.", show_default=False)] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", "--options", metavar="NAME=VALUE", help="Check these options only; repeatable."),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Prove that schedulers are what they declare; exit code 1 if one is not."""
    host = open_host(context)
    if options and name is None:
        raise OptionError("--set needs a scheduler.", remedy="E.g. latentry check ddim --set eta=0.5.")
    given = named_values("--set", options) if options else None
    findings = {one: _check(host, one, given) for one in ([name] if name else host.schedulers.names())}
    if as_json:
        print_json({one: [result.record() for result in results] for one, (results, _) in findings.items()})
    else:
        for one, (results, seconds) in findings.items():
            _print(one, results, seconds, verbose=verbose)
    if any(not result.passed for results, _ in findings.values() for result in results):
        raise typer.Exit(1)


def _check(host: PluginHost, name: str, options: dict[str, Any] | None) -> tuple[list[CheckResult], float]:
    """The findings, and how long they took, with a line on a terminal that says what is being done."""
    from latentry._peers._names import understand
    from latentry.testing import CHECKS, Subject, check_scheduler

    begin = time.perf_counter()
    meaning = understand(host, name)
    given = {**meaning.options, **(options or {})}
    subject = Subject.of(meaning.scheduler, host=host, options=given if given or options is not None else None)
    results: list[CheckResult] = []
    for count, check in enumerate(CHECKS):
        _say(f"{name}: {check} ({count + 1} of {len(CHECKS)})")
        results += check_scheduler(subject, (check,))
    _say("")
    return results, time.perf_counter() - begin


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{text}", end="", file=sys.stderr, flush=True)


def _print(name: str, results: Sequence[CheckResult], seconds: float, *, verbose: bool) -> None:
    rows = [_cells(result) for result in results] if verbose else list(_joined(results))
    print_table(COLUMNS, rows)
    failed = sum(not result.passed for result in results)
    for hint in dict.fromkeys(f"{r.check}: {r.hint}" for r in results if not r.passed and r.hint):
        print(f"  {hint}")
    verdict = f"{failed} of {len(results)} findings failed" if failed else f"all {len(results)} findings are good"
    print(f"{name}: {verdict}, {seconds:.1f} s\n")


def _cells(result: CheckResult) -> tuple[str, ...]:
    measured = result.exempt or result.measured
    return result.check, result.case, result.process, result.declared, measured, result.verdict


def _joined(results: Sequence[CheckResult]) -> Iterator[tuple[str, ...]]:
    """One row for the processes on which a check found the same, and one for the cases in which it did."""
    by_process: dict[tuple[str, ...], list[str]] = {}
    for check, case, process, *rest in map(_cells, results):
        by_process.setdefault((check, case, *rest), []).append(process)
    by_case: dict[tuple[str, ...], list[str]] = {}
    for (check, case, *rest), processes in by_process.items():
        where = ", ".join(dict.fromkeys(filter(None, processes)))
        by_case.setdefault((check, where, *rest), []).append(case)
    for (check, where, *rest), cases in by_case.items():
        yield (check, _few(cases), where, *rest)


def _few(cases: Sequence[str]) -> str:
    return "; ".join(cases) if len(cases) < 3 else f"{cases[0]} and {len(cases) - 1} more"
