"""``latentry show``: the recipe in a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from latentry._cli._output import print_block, print_json


def show(
    picture: Annotated[Path, typer.Argument(help="PNG made by Latentry.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print how a picture was made."""
    from latentry._request._recipe import read_recipe

    recipe = json.loads(read_recipe(picture).model_dump_json())
    if as_json:
        print_json(recipe)
        return
    request = recipe.pop("request")
    print_block(str(picture), request)
    print_block("made with", {f"{role}": _ingredient(used) for role, used in recipe.pop("plugins").items()})
    print_block("besides", recipe)


def _ingredient(used: dict[str, object]) -> str:
    revision = "" if used["revision"] is None else f", numerics revision {used['revision']}"
    why = f": {used['why']}" if used["why"] else ""
    return f"{used['name']} ({used['distribution']} {used['version']}{revision}){why}"
