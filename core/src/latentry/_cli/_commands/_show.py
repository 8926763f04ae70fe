"""``latentry show``: the recipe in a picture."""

from __future__ import annotations

import json
from pathlib import Path

import click

from latentry._cli._common_options import complete_files, json_option
from latentry._cli._output import print_block, print_json


@click.command()
@click.argument("picture", type=Path, shell_complete=complete_files)
@json_option
def show(picture: Path, as_json: bool) -> None:
    """Print the recipe in PICTURE."""
    from latentry._request._recipe import read_recipe

    recipe = json.loads(read_recipe(picture).model_dump_json())
    if as_json:
        print_json(recipe)
        return
    request = recipe.pop("request")
    print_block(str(picture), request)
    print_block("made with", {role: _ingredient(used) for role, used in recipe.pop("plugins").items()})
    print_block("further", recipe)


def _ingredient(used: dict[str, object]) -> str:
    revision = "" if used["revision"] is None else f", numerics revision {used['revision']}"
    why = f": {used['why']}" if used["why"] else ""
    return f"{used['name']} ({used['distribution']} {used['version']}{revision}){why}"
