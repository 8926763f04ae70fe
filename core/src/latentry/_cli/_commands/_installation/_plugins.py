"""``latentry plugins``: what is loaded, what is broken, and how to remove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from operator import itemgetter
from typing import Any

import click

from latentry._cli._common_options import json_option
from latentry._cli._global_options import open_host, plugins_print_to_stderr
from latentry._cli._printing._output import Column, print_json, print_prose, print_records, say, words
from latentry._discovery import Plugin, PluginHost, Problem
from latentry._discovery._check import TargetCheck

COLUMNS = (
    Column("name", itemgetter(0)),
    Column("distribution", itemgetter(1), rank=2),
    Column("version", itemgetter(2)),
    Column("import", itemgetter(3), rank=3),
    Column("state", itemgetter(5), rank=1),
    Column("provides", itemgetter(4), cut=True),
)


@click.command()
@json_option
@click.option("--check", is_flag=True, help="Import what every record points at; exit with code 1 on a problem.")
@click.pass_context
def plugins(context: click.Context, as_json: bool, check: bool) -> None:
    """List the plugins, what each provides, and their problems."""
    host = open_host(context, mention_problems=False)
    with plugins_print_to_stderr():
        targets = host.check() if check else ()
    if as_json:
        loaded = [_plugin(plugin) for plugin in host.plugins]
        found = {"plugins": loaded, "problems": [_problem(problem) for problem in host.problems]}
        print_json({**found, "targets": [asdict(target) for target in targets]} if check else found)
    else:
        _print(host)
        _print_targets(targets)
    if check and host.problems:
        context.exit(1)


def _plugin(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.plugin,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "path": None if plugin.path is None else str(plugin.path),
        "provides": {kind: list(names) for kind, names in plugin.provides.items()},
        "heavy": list(plugin.heavy),
        "import_seconds": round(plugin.import_seconds, 4),
        "removal": plugin.removal,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "plugin": problem.plugin,
        "distribution": problem.distribution,
        "version": problem.version,
        "stage": problem.stage,
        "what": problem.what,
        "why": problem.why,
        "remedy": problem.remedy,
    }


def _print(host: PluginHost) -> None:
    if host.plugins:
        print_records(COLUMNS, [*(_row(host, plugin) for plugin in host.plugins), *_quarantined(host)])
        say("")
        print_prose("Disable a plugin with LATENTRY_BLOCK=name, or remove it with pip uninstall distribution.")
    else:
        say("No plugin is loaded.")
    for problem in host.problems:
        say("\nproblem: " + problem.message.replace("\n", "\n  "))


def _print_targets(targets: Sequence[TargetCheck]) -> None:
    if targets:
        missing = sum(not target.found for target in targets)
        slowest = max(targets, key=lambda target: target.seconds)
        imported = f"{missing} cannot be imported" if missing else "all can be imported"
        say(
            f"\nChecked {len(targets)} targets in {sum(target.seconds for target in targets):.1f} s; "
            f"{imported}. The slowest is {slowest.target}: {slowest.seconds:.1f} s."
        )


def _row(host: PluginHost, plugin: Plugin) -> tuple[str, ...]:
    provides = "; ".join(f"{_called(kind)}: {', '.join(names)}" for kind, names in plugin.provides.items() if names)
    own = [p for p in host.problems if (p.plugin, p.distribution) == (plugin.plugin, plugin.distribution)]
    state = [f"{len(own)} problem{'s' * (len(own) > 1)}"] if own else []
    state += [f"slow: its import pulls in {', '.join(plugin.heavy)}"] if plugin.heavy else []
    took = f"{1000 * plugin.import_seconds:.1f} ms"
    return (plugin.plugin, plugin.distribution, plugin.version, took, words(provides), "; ".join(state) or "ok")


def _called(kind: str) -> str:
    """Records of a kind as the other listings call them."""
    return "models" if kind == "checkpoints" else kind.replace("_", " ")


def _quarantined(host: PluginHost) -> list[tuple[str, ...]]:
    """A row for each plugin that is not loaded at all."""
    loaded = {(plugin.plugin, plugin.distribution) for plugin in host.plugins}
    broken = dict.fromkeys((p.plugin, p.distribution, p.version) for p in host.problems)
    return [(*who, "-", "-", "not loaded") for who in broken if who[:2] not in loaded]
