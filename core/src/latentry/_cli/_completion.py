"""Completion in shells: what click offers, and the names of what is installed; torch is not imported."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class

from latentry._cli._global_options import COMPLETE, GlobalOptions, open_host
from latentry._errors import LatentryError

SHELLS = ("bash", "zsh", "fish")
HOW = {
    "bash": 'eval "$(latentry completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(latentry completion zsh)"  # in ~/.zshrc',
    "fish": "latentry completion fish | source  # in ~/.config/fish/config.fish",
}


def script(shell: str) -> str:
    """What a shell has to run to complete ``latentry``."""
    found = get_completion_class(shell)
    assert found is not None
    from latentry._cli._app import app

    return found(app, {}, "latentry", COMPLETE).source()


def complete(instruction: str) -> int:
    """Print what the shell asks for; a shell is told nothing of what fails."""
    shell, _, _ = instruction.partition("_")
    found = get_completion_class(shell)
    if found is None:
        return 1
    from latentry._cli._app import app

    print(found(app, {"obj": GlobalOptions()}, "latentry", COMPLETE).complete())
    return 0


def names_of(context: click.Context, registry: str, incomplete: str) -> list[CompletionItem]:
    """The names in one of the host's registries that begin so."""
    try:
        records = getattr(open_host(context, mention_problems=False), registry)
    except LatentryError:
        return []
    return _matching(((name, records[name].summary) for name in records), incomplete)


def choices(values: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The values that begin so."""
    return _matching(((value, "") for value in values), incomplete)


def files(incomplete: str) -> list[CompletionItem]:
    """Lets the shell complete a path."""
    return [CompletionItem(incomplete, type="file")]


def _matching(pairs: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name, help=about or None) for name, about in pairs if name.startswith(incomplete)]
