"""The application: its commands, in the order of its help. A command's module is imported when it is needed."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "generate": "_generate",
    "show": "_show",
    "inspect": "_inspect",
    "convert": "_convert",
    "schedulers": "_schedulers",
    "sigmas": "_listings",
    "families": "_listings",
    "models": "_listings",
    "attention": "_attention",
    "check": "_check",
    "plugins": "_plugins",
}
"""The core's own commands: name and module. The module has the click command under the command's name."""
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Commands(click.Group):
    """The core's commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"latentry._cli._commands.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.command(
    cls=Commands,
    context_settings=SETTINGS,
    epilog="--plugin-dir and --debug can be given with every command.",
)
@click.option(
    "--plugin-dir", metavar="PATH", multiple=True, help="Load a .py file or a folder as a plugin; repeatable."
)
@click.option("--debug", is_flag=True, help="Print the traceback of an error.")
def app(plugin_dir: tuple[str, ...], debug: bool) -> None:
    """Generate images with diffusion models; schedulers, models and more come as plugins."""
