"""The application: its commands, in the order of its help."""

from __future__ import annotations

from collections.abc import Callable

import typer

from latentry._cli import _attention, _check, _convert, _generate, _inspect, _listing, _plugins, _schedulers, _show
from latentry._cli._light import LightCommand, LightGroup, NamesCommand


def build_app() -> typer.Typer:
    """The command line as an object; each call makes a new one. Every command is registered here."""
    app = typer.Typer(
        cls=LightGroup,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Pictures from prompts, through plugins.",
        epilog="With any command: --plugin-dir PATH loads a .py file or a folder as a plugin; repeatable.",
    )
    commands: dict[str, Callable[..., None]] = {
        "generate": _generate.generate,
        "show": _show.show,
        "inspect": _inspect.inspect,
        "convert": _convert.convert,
        "schedulers": _schedulers.schedulers,
        **_listing.COMMANDS,
        "attention": _attention.attention,
        "check": _check.check,
        "plugins": _plugins.plugins,
    }
    for name, command in commands.items():
        takes_names = command is _schedulers.schedulers
        app.command(name, cls=NamesCommand if takes_names else LightCommand)(command)
    return app
