"""``latentry check``: the conformance checks of installed schedulers, outside pytest."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from latentry._cli._common_options import complete_names, json_option
from latentry._cli._global_options import open_host
from latentry._cli._output import print_json, print_table, say
from latentry._cli._streams import is_terminal
from latentry._discovery import PluginHost
from latentry._errors import OptionError, visible

if TYPE_CHECKING:
    from latentry.testing import CheckResult

COLUMNS = ("check", "case", "process", "declared", "measured", "verdict")


@click.command()
@click.argument("name", required=False, shell_complete=complete_names("schedulers"))
@click.option(
    "--set", "--options", "pairs", metavar="NAME=VALUE", multiple=True, help="Check these options only; repeatable."
)
@json_option
@click.option("--verbose", is_flag=True, help="Print a row for every case and process.")
@click.pass_context
def check(context: click.Context, name: str | None, pairs: Sequence[str], as_json: bool, verbose: bool) -> None:
    """Check that schedulers do what they declare.

    Without NAME every installed scheduler is checked. The exit code is 1 if one fails.
    """
    host = open_host(context)
    if pairs and name is None:
        raise OptionError("--set needs a scheduler.", remedy="E.g. latentry check ddim --set eta=0.5.")
    given = _options(pairs) if pairs else None
    findings = {one: _check(host, one, given) for one in ([name] if name else host.schedulers.names())}
    if as_json:
        print_json({one: [result.record() for result in results] for one, (results, _) in findings.items()})
    else:
        for one, (results, seconds) in findings.items():
            _print(one, results, seconds, verbose=verbose)
    if any(not result.passed for results, _ in findings.values() for result in results):
        context.exit(1)


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    from latentry._request._reading import named_values

    try:
        return named_values(*pairs)
    except ValueError as error:
        raise OptionError(f"--set {' '.join(pairs)}: it must be {error}.") from error


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
    if is_terminal(sys.stderr):
        print(f"\r\x1b[2K{visible(text)}", end="", file=sys.stderr, flush=True)


def _print(name: str, results: Sequence[CheckResult], seconds: float, *, verbose: bool) -> None:
    rows = [_cells(result) for result in results] if verbose else list(_joined(results))
    print_table(COLUMNS, rows)
    failed = sum(not result.passed for result in results)
    for hint in dict.fromkeys(f"{r.check}: {r.hint}" for r in results if not r.passed and r.hint):
        say(f"  {hint}")
    verdict = f"{failed} of {len(results)} findings failed" if failed else f"all {len(results)} findings passed"
    say(f"{name}: {verdict}, {seconds:.1f} s\n")


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
