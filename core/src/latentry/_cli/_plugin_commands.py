"""Commands that plugins bring: listed from their records, imported when they are run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from latentry._cli._global_options import open_host
from latentry._discovery import PluginHost
from latentry._discovery._calls import plugin_call
from latentry._errors import PluginError

FLOW = (click.ClickException, click.exceptions.Exit, click.Abort)
"""How click ends a command: not a fault of the plugin."""


class PluginCommand(click.Command):
    """A plugin's command before it is imported. The command itself finds the ``PluginHost`` in its ``ctx.obj``."""

    def __init__(self, host: PluginHost, name: str) -> None:
        super().__init__(name, short_help=host.commands[name].summary)
        self._host, self._name = host, name
        self._code: object = None

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        command = self._host.commands.load(self._name)
        if not isinstance(command, click.Command):
            raise PluginError(
                f"The target of the command '{self._name}' is not a click.Command.",
                why=f"Its type is {type(command).__name__}.",
                remedy=f"Report it to the author of {self._host.commands.provenance(self._name).label}.",
            )
        self._code = command.callback
        with self.blamed():
            return command.make_context(info_name, args, parent=parent, obj=self._host, **extra)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """What the plugin's code raises becomes an error that names the plugin and the line."""
        end: Exception | None = None
        with plugin_call(self._code, f"command '{self._name}'"):
            try:
                yield
            except FLOW as flow:
                end = flow
        if end is not None:
            raise end


def plugin_commands(context: click.Context) -> dict[str, PluginCommand]:
    """The commands of the installed plugins by name; the host is opened once for a command line."""
    key = __name__
    if key not in context.meta:
        host = open_host(context, mention_problems=False)
        context.meta[key] = {name: PluginCommand(host, name) for name in host.commands}
    found: dict[str, PluginCommand] = context.meta[key]
    return found
