"""``latentry completion``: the script that makes a shell complete commands, options and installed names."""

from __future__ import annotations

import click

from latentry._cli._completion import HOW, SHELLS, script


@click.command(epilog="\b\n" + "\n".join(HOW.values()))
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    With it the shell completes commands, options, and the names of what is installed.
    """
    click.echo(script(shell))
