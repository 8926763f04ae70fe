"""``latentry show``: the recipe in a picture, or another program's settings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentry._cli._common_options import complete_files, json_option
from latentry._cli._listing._details import print_facts, print_section
from latentry._cli._printing._output import print_block, print_json, print_prose

if TYPE_CHECKING:
    from latentry._pictures._settings import ForeignSettings


@click.command()
@click.argument("picture", type=Path, shell_complete=complete_files)
@json_option
def show(picture: Path, as_json: bool) -> None:
    """Print the recipe in PICTURE.

    Of pictures by AUTOMATIC1111, ComfyUI, InvokeAI and scripts around diffusers it prints their settings.
    """
    from latentry._pictures._foreign import read_foreign
    from latentry._pictures._reading import read_texts
    from latentry._request._recipe import read_recipe

    texts = read_texts(picture)
    foreign = None if texts.recipe is not None else read_foreign(texts)
    if foreign is not None:
        _show_foreign(picture, foreign, as_json=as_json)
        return
    recipe = json.loads(read_recipe(picture).model_dump_json())
    if as_json:
        print_json(recipe)
        return
    request = recipe.pop("request")
    print_block(str(picture), {name: value for name, value in request.items() if value not in (None, "", [], {})})
    print_block("made with", {role: _ingredient(used) for role, used in recipe.pop("plugins").items()})
    print_block("further", {name: value for name, value in recipe.items() if value not in (None, "", [], {})})


def _show_foreign(picture: Path, settings: ForeignSettings, *, as_json: bool) -> None:
    found = asdict(settings)
    if as_json:
        print_json(found)
        return
    print_prose(f"{picture}: made by {settings.program}, by its own account.")
    rest, unsure = found.pop("rest"), found.pop("unsure")
    loras = ", ".join(f"{name}:{weight:g}" for name, weight in settings.loras)
    plain = {name: str(value) for name, value in found.items() if value not in (None, "", ()) and name != "program"}
    print_facts(plain | ({"loras": loras} if loras else {}))
    if rest:
        print_section("Further:")
        print_facts(rest)
    for sentence in unsure:
        print_prose(sentence)


def _ingredient(used: dict[str, object]) -> str:
    revision = "" if used["revision"] is None else f", numerics revision {used['revision']}"
    why = f": {used['why']}" if used["why"] else ""
    return f"{used['name']} ({used['distribution']} {used['version']}{revision}){why}"
