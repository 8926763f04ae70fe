"""``latentry attention``: what is available here, and why the rest is not."""

from __future__ import annotations

from typing import Any

import typer

from latentry._cli._host import open_host
from latentry._cli._listing import Json, Verbose, field, show
from latentry._cli._records import record
from latentry._discovery import Registry
from latentry._discovery._problems import cause
from latentry._errors import LatentryError


def attention(context: typer.Context, as_json: Json = False, verbose: Verbose = False) -> None:
    """List the attention backends, whether each can serve here, and why not."""
    registry = open_host(context).attention_backends
    records = []
    for name in sorted(registry, key=lambda name: -registry[name].rank):
        reason = unavailable(registry, name)
        records.append({**record(registry, name), "available": reason is None, "reason": reason or ""})
    columns = {
        "available": field("available"),
        "why not": field("reason"),
        "devices": field("devices"),
        "dtypes": field("dtypes"),
        "summary": field("summary"),
    }
    show(records, columns, "attention backend", as_json=as_json, verbose=verbose)


def unavailable(registry: Registry[Any], name: str) -> str | None:
    """Why a backend cannot serve here; None where it can. A probe that fails is an answer too."""
    try:
        answer: str | None = registry.create(name).probe()
        return answer
    except KeyboardInterrupt:
        raise
    except LatentryError as error:
        return error.why or error.what
    except BaseException as error:
        return f"its probe fails: {cause(error)}"
