"""``latentry attention``: what is available here, and why the rest is not; and how options of backends are typed."""

from __future__ import annotations

from typing import Any

import typer

from latentry._cli._host import open_host
from latentry._cli._listing import Json, Verbose, field, show
from latentry._cli._records import record
from latentry._cli._values import named_values
from latentry._discovery import PluginHost, Registry
from latentry._discovery._kinds import KINDS
from latentry._discovery._problems import cause
from latentry._discovery._unknown import known_distributions
from latentry._errors import LatentryError, OptionError
from latentry._specs import AttentionBackendSpec


def attention(context: typer.Context, as_json: Json = False, verbose: Verbose = False) -> None:
    """List the attention backends, best first: whether each can serve here, and why not."""
    host = open_host(context)
    registry = host.attention_backends
    records = []
    for name in sorted(registry, key=lambda name: (-registry[name].rank, name)):
        reason = unavailable(registry, name)
        records.append({**record(registry, name), "available": reason is None, "reason": reason or ""})
    columns = {
        "available": field("available"),
        "why not": field("reason"),
        "devices": field("devices"),
        "dtypes": field("dtypes"),
        "limits": limits,
        "summary": field("summary"),
    }
    show(records, columns, "attention backend", as_json=as_json, verbose=verbose)
    if not as_json and (others := elsewhere(host)):
        print(f"Not here: {', '.join(others)}.")


def unavailable(registry: Registry[AttentionBackendSpec], name: str) -> str | None:
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


def limits(item: Any) -> str:
    """What a backend does not take."""
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
    """Known backends that are not here, with what to install."""
    (kind,) = (kind for kind in KINDS if kind.attribute == "attention_backends")
    known = known_distributions(kind)
    return [f"{name} (pip install {where})" for name, where in known.items() if name not in host.attention_backends]


def backend_options(attention: str, pairs: list[str] | None) -> dict[str, dict[str, Any]]:
    """NAME=VALUE of the one backend that is named, or BACKEND.NAME=VALUE, by backend.

    Raises:
        OptionError: no backend is named, or several are, and the option does not say whose it is.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, value in named_values("--attention-set", pairs).items():
        backend, dot, option = name.rpartition(".")
        owner = backend if dot else _only(attention, name)
        found.setdefault(owner, {})[option] = value
    return found


def _only(attention: str, option: str) -> str:
    from latentry._attention._names import AUTO, NATIVE, parse_attention

    named = {name for names in parse_attention(attention).values() for name in names} - {AUTO, NATIVE}
    if len(named) != 1:
        raise OptionError(
            f"--attention-set {option} does not say whose option it is.",
            why=f"--attention {attention} names {len(named)} backends.",
            remedy=f"Write it with the backend, e.g. sliced.{option}=…, or name one: --attention sliced.",
        )
    return named.pop()
