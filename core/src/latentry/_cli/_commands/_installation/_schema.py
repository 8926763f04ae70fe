"""``latentry schema``: JSON Schemas for programs that check requests or draw forms."""

from __future__ import annotations

import click

from latentry._cli._global_options import open_host, plugins_print_to_stderr
from latentry._cli._printing._output import print_json
from latentry._errors import OptionError


@click.command()
@click.argument("kind", required=False)
@click.argument("name", required=False)
@click.pass_context
def schema(context: click.Context, kind: str | None, name: str | None) -> None:
    """Print the JSON Schemas of requests and of all options.

    KIND is request, memory, schedulers, sigma_schedules, guidance, families or attention_backends, NAME one of the
    installed ones: `latentry schema schedulers ddim`.
    """
    from latentry._request._memory_policy import MemoryPolicy
    from latentry._request._schema import TARGETS, option_schema, request_schema, schemas

    whole = {"request": lambda: request_schema(), "memory": lambda: request_schema(MemoryPolicy)}
    if kind in whole:
        if name is not None:
            raise OptionError(f"'{kind}' is one schema, without names.", remedy=f"`latentry schema {kind}` prints it.")
        print_json(whole[kind]())
        return
    if kind is not None and kind not in TARGETS:
        raise OptionError(f"Unknown kind '{kind}'.", remedy=f"The kinds are {', '.join((*whole, *TARGETS))}.")
    host = open_host(context)
    with plugins_print_to_stderr():
        found = option_schema(host, kind, name) if kind and name else schemas(host)
    print_json(found[kind] if kind and not name else found)
