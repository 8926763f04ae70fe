"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from latentry._cli._settings._settable import variable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
verbose_option = click.option("--verbose", is_flag=True, help="Describe each in full.")
quiet_option = click.option(
    "--quiet", "-q", envvar=variable("quiet"), is_flag=True, help="Print neither progress nor a report."
)


def names_argument(registry: str) -> Callable[[Any], Any]:
    """The argument ``[NAME]...``; shells complete it with the names in one of the host's registries."""
    return click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names(registry))


def complete_names(registry: str) -> Callable[..., list[CompletionItem]]:
    """Lets shells complete the names in one of the host's registries."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from latentry._cli._completion import names_of

        return names_of(context, registry, incomplete)

    return complete


def complete_files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Lets shells complete a path."""
    from latentry._cli._completion import files

    return files(incomplete)
