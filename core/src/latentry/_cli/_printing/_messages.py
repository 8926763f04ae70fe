"""An error as the one message that is printed for it."""

from __future__ import annotations

import click

from latentry._cli._printing._other_options import ours_for
from latentry._errors import LatentryError, visible


def message(error: Exception) -> str:
    """What failed, why, and what to do, each on a line of its own."""
    text = "\n".join(part for part in _parts(error) if part)
    return "error: " + visible(text, lines=True).replace("\n", "\n  ")


def _parts(error: Exception) -> tuple[str, ...]:
    if isinstance(error, LatentryError):
        return error.what, error.why, error.remedy
    if isinstance(error, click.NoSuchOption) and (name := ours_for(error)):
        return f"There is no option {error.option_name}.", f"It is {name} here."
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "latentry"
        return error.format_message(), f"`{command} --help` lists the options and arguments."
    if isinstance(error, click.ClickException):
        return (error.format_message(),)
    if isinstance(error, OSError) and error.filename is None:
        return (f"The output cannot be written: {error.strerror or error}.",)
    return (
        f"Unexpected {type(error).__name__}: {error}",
        "This is a fault in latentry or in a plugin, not in what you asked for.",
        "Run the command again with --debug, and report what it prints.",
    )
