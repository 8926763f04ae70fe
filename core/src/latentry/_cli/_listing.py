"""``latentry sigmas|families|models``: what is installed; ``show`` prints ``latentry schedulers`` too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from latentry._cli._host import open_host
from latentry._cli._output import print_block, print_json, print_table, words
from latentry._cli._records import record

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print every field.")]

Record = Mapping[str, Any]
Columns = Mapping[str, Callable[[Record], Any]]


def show(records: Sequence[Record], columns: Columns, noun: str, *, as_json: bool, verbose: bool) -> None:
    """Print records in the way that was asked for."""
    if as_json:
        print_json(records)
    elif not records:
        print(f"No {noun} is installed.")
    elif verbose:
        for item in records:
            print_block(item["select"], item)
    else:
        columns = {"name": lambda item: item["select"], **columns, "from": origin}
        print_table(list(columns), [[words(column(item)) for column in columns.values()] for item in records])


def origin(item: Record) -> str:
    """Distribution and version."""
    return f"{item['distribution']} {item['version']}".strip()


def field(name: str) -> Callable[[Record], Any]:
    """A column that shows a field as it is."""
    return lambda item: item[name]


def _listing(attribute: str, noun: str, about: str, columns: Columns) -> Callable[..., None]:
    def command(context: typer.Context, as_json: Json = False, verbose: Verbose = False) -> None:
        registry = getattr(open_host(context), attribute)
        records = [record(registry, name) for name in registry]
        show(records, columns, noun, as_json=as_json, verbose=verbose)

    command.__doc__ = about
    return command


COMMANDS: Mapping[str, Callable[..., None]] = {
    "sigmas": _listing(
        "sigma_schedules",
        "sigma schedule",
        "List the sigma schedules: where the boundaries of the steps lie.",
        {
            "aliases": field("aliases"),
            "processes": field("processes"),
            "variant": field("variant"),
            "summary": field("summary"),
        },
    ),
    "families": _listing(
        "families",
        "model family",
        "List the model families, their variants and the schedulers these prefer.",
        {
            "process": field("process"),
            "variants": lambda item: [variant["name"] for variant in item["variants"]],
            "prefers": lambda item: item["variants"][0]["schedulers"],
            "summary": field("summary"),
        },
    ),
    "models": _listing(
        "checkpoints",
        "model",
        "List the models that can be asked for by name.",
        {
            "family": field("family"),
            "variant": field("variant"),
            "size": field("size"),
            "licence": field("licence"),
            "default": field("default"),
            "summary": field("summary"),
        },
    ),
}
