"""``latentry check``: the conformance checks of plugins of every kind, outside pytest."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentry._cli._common_options import complete_names, json_option
from latentry._cli._global_options import open_host
from latentry._cli._printing._output import print_json, print_table, say
from latentry._cli._printing._streams import is_terminal
from latentry._discovery import PluginHost
from latentry._errors import OptionError, PluginError, counted, visible

if TYPE_CHECKING:
    from latentry.testing import CheckResult

COLUMNS = ("check", "case", "process", "declared", "measured", "verdict")


@dataclass(frozen=True)
class Asked:
    """What is to be checked, and how.

    Attributes:
        kind: the host's attribute that holds the record.
        name: of the record.
        options: to check it under; None for the declared ones.
        model: of a family.
        only: these checks; all where it is empty.
    """

    kind: str
    name: str
    options: dict[str, Any] | None = None
    model: Path | None = None
    only: Sequence[str] = ()


@click.command()
@click.argument("name", metavar="[NAME|FILE]", required=False, shell_complete=complete_names("schedulers"))
@click.option("--only", metavar="CHECK", multiple=True, help="Run only this check; repeatable.")
@click.option(
    "--set", "--options", "pairs", metavar="NAME=VALUE", multiple=True, help="Check these options only; repeatable."
)
@click.option("--model", type=click.Path(path_type=Path), help="Check a family with this model.")
@json_option
@click.option("--verbose", is_flag=True, help="Print a row for every case and process.")
@click.pass_context
def check(
    context: click.Context,
    name: str | None,
    only: Sequence[str],
    pairs: Sequence[str],
    model: Path | None,
    as_json: bool,
    verbose: bool,
) -> None:
    """Check that plugins do what they declare.

    NAME is a scheduler, sigma schedule, model family, attention backend, guidance method, installed model, model source
    or command; FILE a plugin that is not installed: a .py file, or a folder. Without either every installed scheduler
    is checked. The exit code is 1 if a check fails.
    """
    if pairs and name is None:
        raise OptionError("--set needs a name.", remedy="E.g. latentry check ddim --set eta=0.5.")
    path = _plugin_file(name)
    host = open_host(context, more=[path] if path else ())
    options = _options(pairs) if pairs else None
    named = _provided(host, path) if path else _named(host, name)
    findings: dict[str, tuple[list[CheckResult], float]] = {}
    for kind, one in named:
        label = one if [each for _, each in named].count(one) == 1 else f"{one} ({kind})"
        findings[label] = _check(host, Asked(kind, one, options, model, only))
    if as_json:
        print_json({one: [result.record() for result in results] for one, (results, _) in findings.items()})
    else:
        for one, (results, seconds) in findings.items():
            _print(one, results, seconds, verbose=verbose)
    if any(not result.passed for results, _ in findings.values() for result in results):
        context.exit(1)


def _plugin_file(name: str | None) -> Path | None:
    """The plugin that is not installed; None where a name is meant."""
    path = Path(name or "")
    return path if name and (path.suffix == ".py" or len(path.parts) > 1 or name.startswith(".")) else None


def _provided(host: PluginHost, path: Path) -> list[tuple[str, str]]:
    """Kind and name of all that a file registers.

    Raises:
        PluginError: it cannot be loaded, or registers nothing that can be used.
    """
    where = path.resolve()
    mine = [problem for problem in host.problems if Path(problem.distribution).resolve() == where]
    if mine:
        raise mine[0].as_error() from mine[0].error
    for plugin in host.plugins:
        if plugin.path == where:
            return [(kind, name) for kind, names in plugin.provides.items() for name in names]
    raise PluginError(f"{path} registers nothing.", remedy="Give a .py file or a package folder with a hook in it.")


def _named(host: PluginHost, name: str | None) -> list[tuple[str, str]]:
    """The kinds of which a name is registered; otherwise a scheduler's, which may have names elsewhere."""
    from latentry.testing import kinds_of

    if name is None:
        return [("schedulers", each) for each in host.schedulers.names()]
    return [(kind, name) for kind in kinds_of(host, name)] or [("schedulers", name)]


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    from latentry._request._values._reading import named_values

    try:
        return named_values(*pairs)
    except ValueError as error:
        raise OptionError(f"--set {' '.join(pairs)}: it must be {error}.") from error


def _check(host: PluginHost, asked: Asked) -> tuple[list[CheckResult], float]:
    """The findings, and how long they took, with a line on a terminal that says what is being done."""
    from latentry.testing import KITS

    begin, kit = time.perf_counter(), KITS[asked.kind]
    chosen = _only(asked, tuple(kit.checks))
    subject = _subject(host, asked)
    results: list[CheckResult] = []
    for count, name in enumerate(chosen):
        _say(f"{asked.name}: {name} ({count + 1} of {len(chosen)})")
        results += kit.run(subject, name)
    _say("")
    return results, time.perf_counter() - begin


def _only(asked: Asked, checks: Sequence[str]) -> Sequence[str]:
    """The checks that were asked for, in the kit's order."""
    if unknown := [name for name in asked.only if name not in checks]:
        raise OptionError(
            f"There is no check {unknown[0]!r} of {asked.name}.", remedy=f"Its checks are {', '.join(checks)}."
        )
    return [name for name in checks if name in asked.only] if asked.only else checks


def _subject(host: PluginHost, asked: Asked) -> Any:
    """What the checks are given."""
    from latentry._peers._names import understand
    from latentry.testing import KITS, FamilySubject

    if asked.model is not None:
        if asked.kind != "families":
            raise OptionError("--model is for model families.", why=f"{asked.name} is something else.")
        return FamilySubject.of_path(asked.name, asked.model, host=host)
    kit, name, options = KITS[asked.kind], asked.name, asked.options
    if asked.kind == "schedulers":
        meaning = understand(host, name)
        name, given = meaning.scheduler, {**meaning.options, **(options or {})}
        options = given if given or options is not None else None
    if not kit.takes_options:
        if options is not None:
            raise OptionError(f"{name} has no options to be checked under.", remedy="Leave --set out.")
        return kit.subject(name, host=host)
    return kit.subject(name, host=host, options=options)


def _say(text: str) -> None:
    if is_terminal(sys.stderr):
        print(f"\r\x1b[2K{visible(text)}", end="", file=sys.stderr, flush=True)


def _print(name: str, results: Sequence[CheckResult], seconds: float, *, verbose: bool) -> None:
    rows = [_cells(result) for result in results] if verbose else list(_joined(results))
    print_table(COLUMNS, rows)
    failed = sum(not result.passed for result in results)
    for hint in dict.fromkeys(f"{r.check}: {r.hint}" for r in results if not r.passed and r.hint):
        say(f"  {hint}")
    all_of_them = counted(len(results), "finding")
    verdict = f"{failed} of {all_of_them} failed" if failed else f"{all_of_them} passed"
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
