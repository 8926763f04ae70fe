"""Options that every command takes, and the plugin host that they and the environment ask for.

Only here are environment variables read; the library reads none.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentry._discovery import PluginHost
from latentry._errors import OptionError

if TYPE_CHECKING:
    from latentry._batch._work import BatchSettings

PLUGIN_DIR = "--plugin-dir"
DEBUG = "--debug"
LOG_LEVEL = "--log-level"
LEVELS = ("debug", "info", "warning", "error")
COMPLETE = "_LATENTRY_COMPLETE"
"""Set by the shells' scripts: what is to be completed, e.g. ``bash_complete``."""


def _debug() -> bool:
    return bool(os.environ.get("LATENTRY_DEBUG"))


def completion_asked() -> str | None:
    """What a shell wants completed; None where the program was not started for that."""
    return os.environ.get(COMPLETE)


@dataclass(frozen=True)
class GlobalOptions:
    """What was typed for any command; a command finds it in ``context.obj``.

    Attributes:
        plugin_dirs: files and folders to load as plugins.
        debug: whether errors come with their traceback.
        log_level: of what the log shows on standard error.
    """

    plugin_dirs: tuple[Path, ...] = ()
    debug: bool = field(default_factory=_debug)
    log_level: str = "warning"


def take_global_options(arguments: Sequence[str]) -> tuple[GlobalOptions, list[str]]:
    """The global options, wherever they stand before ``--``, and the arguments without them.

    They are read before click's own parsing because ``--plugin-dir`` can bring the command that is being called.

    Raises:
        OptionError: ``--plugin-dir`` without a value, or a level that there is not.
    """
    paths: list[Path] = []
    rest: list[str] = []
    debug, level = _debug(), os.environ.get("LATENTRY_LOG_LEVEL", "warning")
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--":
            rest += [word, *words]
        elif word == DEBUG:
            debug = True
        elif name == LOG_LEVEL:
            level = value if equals else next(words, "")
        elif name != PLUGIN_DIR:
            rest.append(word)
        elif given := value if equals else next(words, ""):
            paths.append(Path(given))
        else:
            raise OptionError(f"{PLUGIN_DIR} needs a value.", remedy="Give a .py file or a folder.")
    if level not in LEVELS:
        raise OptionError(f"{LOG_LEVEL} {level}: it must be one of {', '.join(LEVELS)}.")
    return GlobalOptions(tuple(paths), debug, level), rest


def begin_log(level: str) -> None:
    """Shows the log on standard error."""
    logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("latentry").setLevel(level.upper())


def open_host(context: click.Context, *, mention_problems: bool = True, more: Sequence[Path] = ()) -> PluginHost:
    """The plugin host that the global options and the environment ask for, with ``more`` files loaded as plugins.

    ``LATENTRY_PLUGINS`` names the only plugins to load (empty: none), ``LATENTRY_BLOCK`` those to leave out,
    both separated by commas.
    """
    with plugins_print_to_stderr():
        host = PluginHost(
            load=names_in("LATENTRY_PLUGINS"),
            block=names_in("LATENTRY_BLOCK") or (),
            plugin_dirs=[*loose_plugins(context), *more],
        )
    if mention_problems and host.problems:
        count = len(host.problems)
        things = "1 plugin problem" if count == 1 else f"{count} plugin problems"
        print(f"latentry: {things}, see `latentry plugins`", file=sys.stderr)
    return host


def _own_models() -> list[Path]:
    """The plugin of models that were given names, where there are any."""
    from latentry._cli._own_models._names import PLUGIN, own_models

    return [PLUGIN] if own_models() else []


def batch_settings(context: click.Context, **settings: Any) -> BatchSettings:
    """Settings for engines with the plugins that ``open_host`` gives.

    Args:
        context: of the command.
        settings: further fields of ``BatchSettings``.
    """
    from latentry._batch._work import BatchSettings

    load, block = names_in("LATENTRY_PLUGINS"), names_in("LATENTRY_BLOCK") or ()
    return BatchSettings(load, block, loose_plugins(context), **settings)


def loose_plugins(context: click.Context) -> tuple[Path, ...]:
    """What was typed to be loaded as a plugin, and the user's own models."""
    return (*context.find_object(GlobalOptions).plugin_dirs, *_own_models())  # type: ignore[union-attr]


def plugins_print_to_stderr() -> AbstractContextManager[object]:
    """Around the import and the calls of plugins: what they print must not mix with a command's own output."""
    return redirect_stdout(sys.stderr)


def names_in(variable: str) -> tuple[str, ...] | None:
    """The names that an environment variable lists; None where it is not set."""
    value = os.environ.get(variable)
    if value is None:
        return None
    return tuple(name.strip() for name in value.split(",") if name.strip())
