"""Which options can be set once and for all, and what set them: the command line, a variable, or the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from click.core import ParameterSource

from latentry._cli._settings._file import config_file

PREFIX = "LATENTRY_"
GENERATE = frozenset(
    {
        *("model", "negative", "offline", "scheduler", "sigmas", "steps", "guidance", "width", "height"),
        *("device", "dtype", "batch", "offload", "blocks_per_group", "prefetch", "vae_tiling"),
        *("vae_slicing", "capture", "weights", "attention", "output", "quiet"),
    }
)
"""Settings of ``generate``: what holds for any picture. A seed, a mask or a prompt belongs to one."""
SET = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)
"""Sources of a value that someone gave, the first one first."""


def variable(setting: str) -> str:
    """The variable of a setting of ``generate``."""
    return PREFIX + setting.upper()


def settings_of(name: str, command: click.Command, context: click.Context) -> Iterator[click.Parameter]:
    """The options of a command that can be set: of plugins' commands all."""
    for parameter in command.get_params(context):
        own = isinstance(parameter, click.Option) and not parameter.is_eager
        if own and (name != "generate" or parameter.name in GENERATE):
            yield parameter


def is_typed(context: click.Context, option: click.Option) -> bool:
    """Whether an option was given on the command line."""
    return context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE


def origin(context: click.Context, option: click.Option) -> str:
    """What set an option, for people: empty for its own default and for the command line."""
    source = context.get_parameter_source(option.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return str(option.envvar)
    return str(config_file()) if source is ParameterSource.DEFAULT_MAP else ""


def given(context: click.Context, option: click.Option, value: Any, typed: str) -> str:
    """An option with its value as it was given, for messages."""
    source = context.get_parameter_source(option.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return f"{option.envvar}={value}"
    if source is ParameterSource.DEFAULT_MAP:
        return f"{option.name} = {value} in {config_file()}"
    return typed
