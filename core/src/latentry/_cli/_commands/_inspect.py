"""``latentry inspect``: what a file or folder is, from its headers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentry._cli._common_options import complete_files, json_option
from latentry._cli._global_options import open_host
from latentry._cli._listing._records import plain
from latentry._cli._printing._output import print_json
from latentry._errors import visible

if TYPE_CHECKING:
    from latentry._files._inspect import Inspection
    from latentry._specs import Detection

UNITS = ((10**9, "GB"), (10**6, "MB"), (1, "bytes"))


@click.command()
@click.argument("path", type=Path, shell_complete=complete_files)
@json_option
@click.pass_context
def inspect(context: click.Context, path: Path, as_json: bool) -> None:
    """Say what a model file or folder is and what it lacks.

    PATH is a file of weights, the index of a sharded one, a folder, or the name of an installed model. Its family,
    variant, prediction type, dtypes and size are read from headers and configurations alone.
    """
    from latentry._files._inspect import inspect_model

    seen = inspect_model(open_host(context), path)
    if as_json:
        print_json({"path": str(seen.path), "family": seen.family, **plain(seen.found)})
    else:
        for line in _lines(seen):
            print(visible(line))


def _lines(seen: Inspection) -> Iterator[str]:
    found = seen.found
    yield f"{seen.path} is {found.label if seen.family is None else f'a model of {seen.family}'}"
    if seen.family is not None:
        yield f"  variant: {_variants(found)}"
        yield f"  predicts: {found.prediction or 'unknown'}"
    yield f"  dtypes: {', '.join(found.dtypes) or '-'}"
    yield f"  size: {_size(found)}"
    yield from _list("seen", found.evidence)
    yield from _list("missing", found.missing)


def _variants(found: Detection) -> str:
    if not found.variants:
        return "none that can run"
    several = f" (its headers do not say which; name it, e.g. --variant {found.variants[0]})"
    return " or ".join(found.variants) + (several if len(found.variants) > 1 else "")


def _size(found: Detection) -> str:
    if found.size is None or found.parameters is None:
        return "no weights"
    unit, name = next(pair for pair in UNITS if found.size >= pair[0] or pair[0] == 1)
    return f"{found.size / unit:,.{0 if unit == 1 else 2}f} {name}, {found.parameters:,} parameters"


def _list(name: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield f"  {name}:"
        yield from (f"    {sentence}" for sentence in sentences)
