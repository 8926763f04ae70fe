"""``latentry attention``: the backends, what each lacks, and on request which of them run here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from latentry._cli._common_options import json_option, names_argument, verbose_option
from latentry._cli._global_options import open_host, plugins_print_to_stderr
from latentry._cli._listing._lacking import lacking
from latentry._cli._listing._one_record import print_attention
from latentry._cli._listing._records import record
from latentry._cli._listing._tables import Record, field, show, summary
from latentry._cli._printing._output import Column, print_prose, say
from latentry._discovery import PluginHost, Registry
from latentry._discovery._kinds import KINDS
from latentry._discovery._problems import cause
from latentry._discovery._unknown import known_distributions
from latentry._errors import LatentryError
from latentry._specs import AttentionBackendSpec

WHERE = (
    Column("devices", field("devices"), rank=1),
    Column("limits", lambda item: limits(item) or "-", rank=2),
    Column("dtypes", field("dtypes"), rank=3),
)
COLUMNS = (Column("lacks", field("lacks")), *WHERE, summary())
PROBED = (
    Column("usable", lambda item: "yes" if item["available"] else "no"),
    *WHERE,
    Column("why not, or what it is", lambda item: item["reason"] or item["summary"], cut=True),
)


@click.command()
@names_argument("attention_backends")
@click.option("--probe", is_flag=True, help="Ask each whether it runs with this torch and device, as NAME does too.")
@json_option
@verbose_option
@click.pass_context
def attention(context: click.Context, names: Sequence[str], probe: bool, as_json: bool, verbose: bool) -> None:
    """List the attention backends."""
    host = open_host(context)
    registry = host.attention_backends
    names = [registry.listed(name) for name in names] or (list(registry) if verbose else [])
    asked = probe or bool(names)
    shown = names or sorted(registry, key=lambda name: (-registry[name].rank, name))
    records = [backend(registry, name, probe=asked) for name in shown]
    if names and not as_json:
        for number, item in enumerate(records):
            if number:
                say("")
            print_attention(host, {**item, "limits": limits(item)})
        return
    show(records, PROBED if asked else COLUMNS, "attention backend", as_json=as_json)
    if as_json:
        return
    if records and not asked:
        say("")
        print_prose("Which of them run with this torch and device: latentry attention --probe.")
    if others := elsewhere(host):
        say("")
        print_prose(f"Not installed: {', '.join(others)}.")


def backend(registry: Registry[AttentionBackendSpec], name: str, *, probe: bool) -> Record:
    """A backend's record with ``lacks``, ``available`` and ``reason``.

    Without asking its probe, which needs torch, ``available`` is None and ``reason`` says nothing.
    """
    reason = unavailable(registry, name) if probe else None
    known = {"lacks": list(lacking(registry[name].extra)), "available": reason is None if probe else None}
    return {**record(registry, name), **known, "reason": reason or ""}


def unavailable(registry: Registry[AttentionBackendSpec], name: str) -> str | None:
    """Why a backend cannot be used here; None if it can. A probe that fails is an answer too."""
    try:
        with plugins_print_to_stderr():
            answer: str | None = registry.create(name).probe()
        return answer
    except KeyboardInterrupt:
        raise
    except LatentryError as error:
        return error.why or error.what
    except BaseException as error:
        return f"its probe fails: {cause(error)}"


def limits(item: Any) -> str:
    """What a backend does not support."""
    size = item["max_head_size"]
    parts = {
        "no mask": not item["masks"],
        "not causal": not item["causal"],
        "no scale": not item["scales"],
        f"head size to {size}": size is not None,
        f"in steps of {item['head_multiple']}": item["head_multiple"] > 1,
        "not exact": item["error"] > 0,
    }
    return ", ".join(words for words, holds in parts.items() if holds)


def elsewhere(host: PluginHost) -> list[str]:
    """Known backends that are not installed, with the distribution of each."""
    (kind,) = (kind for kind in KINDS if kind.attribute == "attention_backends")
    known = known_distributions(kind)
    return [f"{name} ({where})" for name, where in known.items() if name not in host.attention_backends]
