"""``latentry inspect``: what a file or folder is, from its headers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentry._cli._host import open_host
from latentry._cli._listing import Json
from latentry._cli._output import print_json
from latentry._cli._records import plain

if TYPE_CHECKING:
    from latentry._files._inspect import Inspection
    from latentry._specs import Detection

UNITS = ((10**9, "GB"), (10**6, "MB"), (1, "bytes"))


def inspect(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="File of weights, index of a sharded one, folder, or installed name.")],
    as_json: Json = False,
) -> None:
    """Say what a file or folder is: family, variant, prediction, dtypes, size, and what it lacks."""
    from latentry._files._inspect import inspect_model

    seen = inspect_model(open_host(context), path)
    if as_json:
        print_json({"path": str(seen.path), "family": seen.family, **plain(seen.found)})
    else:
        print("\n".join(_lines(seen)))


def _lines(seen: Inspection) -> Iterator[str]:
    found = seen.found
    yield f"{seen.path} is {found.kind if seen.family is None else f'a model of {seen.family}'}"
    if seen.family is not None:
        yield f"  variant: {_variants(found)}"
        yield f"  predicts: {found.prediction or 'not to be told'}"
    yield f"  dtypes: {', '.join(found.dtypes) or '-'}"
    yield f"  size: {_size(found)}"
    yield from _list("seen", found.evidence)
    yield from _list("missing", found.missing)


def _variants(found: Detection) -> str:
    if not found.variants:
        return "none that can be run"
    several = f" (its headers do not tell; say which, e.g. --variant {found.variants[0]})"
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
