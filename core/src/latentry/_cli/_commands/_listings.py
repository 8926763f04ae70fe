"""``latentry sigmas``, ``families``, ``models`` and ``guidance``: what is installed."""

from __future__ import annotations

import click

from latentry._cli._common_options import json_option, verbose_option
from latentry._cli._global_options import open_host
from latentry._cli._records import record
from latentry._cli._tables import Columns, field, show


def _listing(name: str, attribute: str, noun: str, about: str, columns: Columns) -> click.Command:
    @click.command(name, help=about)
    @json_option
    @verbose_option
    @click.pass_context
    def command(context: click.Context, as_json: bool, verbose: bool) -> None:
        registry = getattr(open_host(context), attribute)
        records = [record(registry, one) for one in registry]
        show(records, columns, noun, as_json=as_json, verbose=verbose)

    return command


sigmas = _listing(
    "sigmas",
    "sigma_schedules",
    "sigma schedule",
    "List the sigma schedules, which set the noise level of each step.",
    {
        "aliases": field("aliases"),
        "processes": field("processes"),
        "variant": field("variant"),
        "summary": field("summary"),
    },
)
families = _listing(
    "families",
    "families",
    "model family",
    "List the model families, their variants and schedulers.",
    {
        "process": field("process"),
        "variants": lambda item: [variant["name"] for variant in item["variants"]],
        "prefers": lambda item: item["variants"][0]["schedulers"],
        "summary": field("summary"),
    },
)
models = _listing(
    "models",
    "checkpoints",
    "model",
    "List the models that are installed under a name.",
    {
        "family": field("family"),
        "variant": field("variant"),
        "size": field("size"),
        "licence": field("licence"),
        "default": field("default"),
        "summary": field("summary"),
    },
)
guidance = _listing(
    "guidance",
    "guidance",
    "guidance method",
    "List the guidance methods, which make one output of those with and without the prompt.",
    {
        "aliases": field("aliases"),
        "networks": field("kinds"),
        "branches": field("branches"),
        "memory": field("memory"),
        "summary": field("summary"),
    },
)
