"""Completion in shells: what click offers, and the names of what is installed; torch is not imported."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class

from latentry._cli._global_options import COMPLETE, GlobalOptions, open_host
from latentry._errors import LatentryError

NAMED = {
    "--model": "checkpoints",
    "--refiner": "checkpoints",
    "--scheduler": "schedulers",
    "--sigmas": "sigma_schedules",
    "--guidance-method": "guidance",
    "--guidance-model": "checkpoints",
    "--attention": "attention_backends",
}
"""Options of ``generate`` with names as values. They are declared with the request's fields, and a test compares
them. Reading the declarations imports pydantic, which takes longer than all else that completion does."""


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

    asked = found(app, {"obj": GlobalOptions()}, "latentry", COMPLETE)
    words, incomplete = asked.get_completion_args()
    if words[:1] == ["generate"] and (registry := NAMED.get(words[-1])):
        items = names_or_files(click.Context(app, obj=GlobalOptions()), registry, incomplete)
        print("\n".join(map(asked.format_completion, items)))
    else:
        print(asked.complete())
    return 0


def names_of(context: click.Context, registry: str, incomplete: str) -> list[CompletionItem]:
    """The names in one of the host's registries that begin so."""
    try:
        records = getattr(open_host(context, mention_problems=False), registry)
    except LatentryError:
        return []
    return _matching(((name, records[name].summary) for name in records), incomplete)


def names_or_files(context: click.Context, registry: str, incomplete: str) -> list[CompletionItem]:
    """The same, or a path where none begins so and a model is meant."""
    found = names_of(context, registry, incomplete)
    return found or (files(incomplete) if registry == "checkpoints" else [])


def choices(values: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The values that begin so."""
    return _matching(((value, "") for value in values), incomplete)


def files(incomplete: str) -> list[CompletionItem]:
    """Lets the shell complete a path."""
    return [CompletionItem(incomplete, type="file")]


def _matching(pairs: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name, help=about or None) for name, about in pairs if name.startswith(incomplete)]
