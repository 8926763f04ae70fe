"""``latentry show``: the recipe in a picture, or another program's settings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentry._cli._common_options import complete_files, json_option
from latentry._cli._listing._details import print_facts, print_section
from latentry._cli._printing._output import print_block, print_json, print_prose

if TYPE_CHECKING:
    from pydantic import BaseModel

    from latentry._pictures._settings import ForeignSettings


@click.command()
@click.argument("picture", type=Path, shell_complete=complete_files)
@json_option
@click.option("--verbose", is_flag=True, help="Print what is at its default too.")
def show(picture: Path, as_json: bool, verbose: bool) -> None:
    """Print the recipe in PICTURE.

    What is at its default is left out. Of pictures by AUTOMATIC1111, ComfyUI, InvokeAI and scripts around diffusers it
    prints their settings.
    """
    from latentry._pictures._foreign import read_foreign
    from latentry._pictures._reading import read_texts
    from latentry._request._recipe import read_recipe

    texts = read_texts(picture)
    foreign = None if texts.recipe is not None else read_foreign(texts)
    if foreign is not None:
        _show_foreign(picture, foreign, as_json=as_json)
        return
    recipe = read_recipe(picture)
    if as_json:
        print_json(json.loads(recipe.model_dump_json()))
        return
    print_block(str(picture), _said(recipe.request, all_of_it=verbose))
    further = _said(recipe, all_of_it=verbose)
    del further["request"]
    print_block("made with", {role: _ingredient(used) for role, used in further.pop("plugins", {}).items()})
    print_block("further", further)
    if not verbose:
        print_prose("All else is at its default; --verbose prints that too.")


def _said(record: BaseModel, *, all_of_it: bool) -> dict[str, Any]:
    """The fields that say something: those that differ from their defaults, or all that are not empty."""
    plain = json.loads(record.model_dump_json())
    fields = type(record).model_fields
    return {
        name: value if isinstance(getattr(record, name), str) else _worded(value)
        for name, value in plain.items()
        if value not in (None, "", [], {})
        and (all_of_it or getattr(record, name) != fields[name].get_default(call_default_factory=True))
    }


def _worded(value: Any) -> Any:
    """A value as ``print_block`` takes it, with words for what has no end."""
    if isinstance(value, dict):
        return {name: _worded(each) for name, each in value.items()}
    return "no limit" if value == "Infinity" else value


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
