"""The application: its commands, in the order of its help."""

from __future__ import annotations

import typer

from latentry._cli import _attention, _generate, _listing, _plugins, _show


def build_app() -> typer.Typer:
    """The command line as an object; each call makes a new one. Every command is registered here."""
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Pictures from prompts, through plugins.",
        epilog="With any command: --plugin-dir PATH loads a .py file or a folder as a plugin; repeatable.",
    )
    app.command("generate")(_generate.generate)
    app.command("show")(_show.show)
    for name, command in _listing.COMMANDS.items():
        app.command(name)(command)
    app.command("attention")(_attention.attention)
    app.command("plugins")(_plugins.plugins)
    return app
