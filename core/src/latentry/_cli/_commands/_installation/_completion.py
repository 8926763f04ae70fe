"""``latentry completion``: the script that makes a shell complete commands, options and installed names."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")
HOW = {
    "bash": 'eval "$(latentry completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(latentry completion zsh)"  # in ~/.zshrc',
    "fish": "latentry completion fish | source  # in ~/.config/fish/config.fish",
}


@click.command(epilog="\b\n" + "\n".join(HOW.values()))
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    With it the shell completes commands, options, and the names of what is installed.
    """
    from latentry._cli._completion import script

    click.echo(script(shell))
