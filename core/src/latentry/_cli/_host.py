"""The command line's plugin host. Only here are environment variables read; the library reads none."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from latentry._discovery import PluginHost
from latentry._errors import OptionError

OPTION = "--plugin-dir"


def open_host(context: typer.Context, *, mention_problems: bool = True) -> PluginHost:
    """The host that the global options and the environment ask for.

    ``LATENTRY_PLUGINS`` names the only plugins to load (empty: none), ``LATENTRY_BLOCK`` those to leave out,
    both separated by commas.
    """
    host = PluginHost(
        load=_names("LATENTRY_PLUGINS"),
        block=_names("LATENTRY_BLOCK") or (),
        plugin_dirs=context.obj or (),
    )
    if mention_problems and host.problems:
        count = len(host.problems)
        things = "1 plugin problem" if count == 1 else f"{count} plugin problems"
        print(f"latentry: {things}, see `latentry plugins`", file=sys.stderr)
    return host


def take_plugin_dirs(arguments: Sequence[str]) -> tuple[tuple[Path, ...], list[str]]:
    """The values of ``--plugin-dir``, before or after the command, and the arguments without them.

    By hand: typer imports pydantic for any option with a value, which a listing is to do without.
    """
    paths: list[Path] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--":
            rest += [word, *words]
        elif name != OPTION:
            rest.append(word)
        elif given := value if equals else next(words, ""):
            paths.append(Path(given))
        else:
            raise OptionError(f"{OPTION} needs a value.", remedy="Give a .py file or a folder.")
    return tuple(paths), rest


def _names(variable: str) -> tuple[str, ...] | None:
    value = os.environ.get(variable)
    if value is None:
        return None
    return tuple(name.strip() for name in value.split(",") if name.strip())
