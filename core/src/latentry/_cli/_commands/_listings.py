"""``latentry sigmas``, ``families``, ``models``, ``guidance``, ``controls``, ``conditioners``: all, or one in full."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from latentry._cli._common_options import json_option, names_argument, verbose_option
from latentry._cli._global_options import open_host
from latentry._cli._listing._one_record import print_family, print_guidance, print_model, print_sigmas
from latentry._cli._listing._records import record
from latentry._cli._listing._steering import print_conditioner, print_control
from latentry._cli._listing._tables import Record, field, show, summary
from latentry._cli._printing._output import Column, say
from latentry._discovery import PluginHost

Tell = Callable[[PluginHost, Record], None]


def _listing(name: str, attribute: str, noun: str, about: str, columns: Sequence[Column], tell: Tell) -> click.Command:
    @click.command(name, help=about)
    @names_argument(attribute)
    @json_option
    @verbose_option
    @click.pass_context
    def command(context: click.Context, names: Sequence[str], as_json: bool, verbose: bool) -> None:
        host = open_host(context)
        registry = getattr(host, attribute)
        records = [record(registry, registry.listed(one)) for one in names] or [
            record(registry, one) for one in registry
        ]
        if as_json or not (names or verbose):
            show(records, columns, noun, as_json=as_json)
            return
        for number, item in enumerate(records):
            if number:
                say("")
            tell(host, item)

    return command


sigmas = _listing(
    "sigmas",
    "sigma_schedules",
    "sigma schedule",
    "List the sigma schedules: the noise levels of the steps.",
    (
        Column("processes", field("processes")),
        Column("variant", field("variant"), rank=2),
        Column("aliases", field("aliases"), rank=3),
        summary(),
    ),
    print_sigmas,
)
families = _listing(
    "families",
    "families",
    "model family",
    "List the model families, their variants and schedulers.",
    (
        Column("process", field("process")),
        Column("variants", lambda item: ", ".join(variant["name"] for variant in item["variants"]), rank=3),
        Column(
            "prefers",
            lambda item: ", ".join(one.rpartition(":")[2] for one in item["variants"][0]["schedulers"]),
            rank=2,
        ),
        summary(),
    ),
    print_family,
)
models = _listing(
    "models",
    "checkpoints",
    "model",
    "List the models that are installed under a name.",
    (
        Column("family", lambda item: item["family"].rpartition(":")[2]),
        Column("variant", field("variant"), rank=1),
        Column("size", field("size"), rank=2),
        Column("licence", field("licence"), rank=4),
        Column("default", lambda item: "yes" if item["default"] else "", rank=3),
        summary(),
    ),
    print_model,
)
guidance = _listing(
    "guidance",
    "guidance",
    "guidance method",
    "List the guidance methods.",
    (
        Column("networks", field("kinds"), rank=3),
        Column("branches", field("branches"), rank=1),
        Column("memory", field("memory"), rank=2),
        Column("aliases", field("aliases"), rank=4),
        summary(),
    ),
    print_guidance,
)
controls = _listing(
    "controls",
    "controls",
    "control",
    "List the installed networks that steer a model by a picture.",
    (
        Column("kind", lambda item: item["conditioner"].rpartition(":")[2]),
        Column("model", lambda item: item["model"].rpartition(":")[2]),
        Column("licence", field("licence"), rank=2),
        summary(),
    ),
    print_control,
)
conditioners = _listing(
    "conditioners",
    "conditioners",
    "kind of conditioner",
    "List the kinds of networks that steer a model.",
    (
        Column("families", lambda item: ", ".join(name.rpartition(":")[2] for name in item["families"])),
        Column("aliases", field("aliases"), rank=2),
        summary(),
    ),
    print_conditioner,
)
