"""``latentry plugins``: what is loaded, what is broken, and how to remove it."""

from __future__ import annotations

from typing import Any

import click

from latentry._cli._common_options import json_option
from latentry._cli._global_options import open_host
from latentry._cli._output import print_json, print_table, words
from latentry._discovery import Plugin, PluginHost, Problem


@click.command()
@json_option
@click.option("--check", is_flag=True, help="Exit with code 1 if there is a problem.")
@click.pass_context
def plugins(context: click.Context, as_json: bool, check: bool) -> None:
    """List the plugins, what each provides, and their problems."""
    host = open_host(context, mention_problems=False)
    if as_json:
        loaded = [_plugin(plugin) for plugin in host.plugins]
        print_json({"plugins": loaded, "problems": [_problem(problem) for problem in host.problems]})
    else:
        _print(host)
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
        columns = ("name", "distribution", "version", "provides", "state")
        print_table(columns, [*(_row(host, plugin) for plugin in host.plugins), *_quarantined(host)])
        print("Disable a plugin with LATENTRY_BLOCK=name, or remove it with pip uninstall distribution.")
    else:
        print("No plugin is loaded.")
    for problem in host.problems:
        print("\nproblem: " + problem.message.replace("\n", "\n  "))


def _row(host: PluginHost, plugin: Plugin) -> tuple[str, ...]:
    provides = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in plugin.provides.items() if names)
    own = [p for p in host.problems if (p.plugin, p.distribution) == (plugin.plugin, plugin.distribution)]
    state = [f"{len(own)} problem{'s' * (len(own) > 1)}"] if own else []
    state += [f"slow: its import pulls in {', '.join(plugin.heavy)}"] if plugin.heavy else []
    return (plugin.plugin, plugin.distribution, plugin.version, words(provides), "; ".join(state) or "ok")


def _quarantined(host: PluginHost) -> list[tuple[str, ...]]:
    """A row for each plugin that is not loaded at all."""
    loaded = {(plugin.plugin, plugin.distribution) for plugin in host.plugins}
    broken = dict.fromkeys((p.plugin, p.distribution, p.version) for p in host.problems)
    return [(*who, "-", "not loaded") for who in broken if who[:2] not in loaded]
