"""One page a distribution, from its README and its records, and an index."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from documentation.markdown import table, titled
from documentation.repository import distributions, folder_of, records
from latentry import PeerName, PluginHost, VariantSpec
from latentry._discovery._kinds import KINDS, Kind
from latentry._specs import Spec

PLURALS = {"model family": "Model families"}
APART = {"name", "summary", "api", "moved_from", "peers", "cases", "sigmas", "variants"}
"""Fields of a record that the page has elsewhere, or that only the conformance kit reads."""
PAIRS = {"options", "exemptions"}
"""Fields of (name, value) pairs."""


def plugin_pages(host: PluginHost) -> dict[str, str]:
    """All of them, by path."""
    return {"plugins/index.md": _index(host), **{f"plugins/{name}.md": _page(host, name) for name in distributions()}}


def _index(host: PluginHost) -> str:
    text = (
        "# Plugins\n\nEverything in this repository is a distribution of its own. Each has a page, made from its "
        "README and from\nthe records that it registers. `latentry plugins` lists what is installed.\n"
    )
    for kind in KINDS:
        names = [name for name in distributions() if any(records(host, kind, name))]
        if names:
            text += f"\n## {PLURALS.get(kind.noun, f'{titled(kind.noun)}s')}\n\n{_list(host, names, kind)}"
    silent = [name for name in distributions() if not any(any(records(host, kind, name)) for kind in KINDS)]
    return f"{text}\n## Libraries and bridges\n\n{_list(host, silent, None)}"


def _list(host: PluginHost, names: list[str], kind: Kind[Any] | None) -> str:
    found = distributions()
    rows = [
        (
            f"[{name}]({name}.md)",
            found[name]["description"],
            ", ".join(f"`{spec.name}`" for spec in records(host, kind, name)) if kind else "",
        )
        for name in names
    ]
    return table(("distribution", "what it is", "names" if kind else ""), rows)


def _page(host: PluginHost, name: str) -> str:
    text = (folder_of(name) / "README.md").read_text(encoding="utf-8")
    for kind in KINDS:
        for spec in records(host, kind, name):
            text += f"\n## {titled(kind.noun)} `{spec.name}`\n\n{spec.summary}\n\n{_declared(spec)}"
            text += _variants(spec) + _options(getattr(host, kind.attribute), spec) + _peers(spec)
    return text


def _declared(spec: Spec) -> str:
    """The fields of a record that say more than their default."""
    rows = [
        (field.name.replace("_", " "), _shown(field.name, value))
        for field in dataclasses.fields(spec)
        if field.name not in {*APART, *spec.TARGETS}
        and (value := getattr(spec, field.name)) not in (field.default, None, (), "")
    ]
    return table(("declares", ""), rows)


def _shown(field: str, value: Any) -> str:
    """A value of a record in words."""
    if field in PAIRS:
        return ", ".join(f"{name}={given}" for name, given in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value)))
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _variants(spec: Spec) -> str:
    """Those of a model family."""
    variants: tuple[VariantSpec, ...] = getattr(spec, "variants", ())
    rows = [
        (
            f"`{each.name}`",
            each.summary,
            ", ".join(each.tasks),
            ", ".join(f"`{name.partition(':')[2]}`" for name in each.schedulers),
            f"{each.size}",
            f"{each.steps}",
            f"{each.guidance:g} ({each.guidance_kind})",
        )
        for each in variants
    ]
    return "\n" + table(("variant", "what it is", "tasks", "schedulers", "pixels", "steps", "guidance"), rows)


def _options(registry: Any, spec: Spec) -> str:
    """The options of what a record points at, where it has any."""
    fields = getattr(registry.load(spec.name), "model_fields", None)
    if not isinstance(fields, dict):
        return ""
    rows = [
        (
            f"`{name}`",
            f"`{_type(field.annotation)}`",
            f"`{field.get_default(call_default_factory=True)}`",
            field.description or "",
        )
        for name, field in fields.items()
    ]
    return "\n" + table(("option", "type", "default", "meaning"), rows)


def _type(annotation: Any) -> str:
    """A type as it is written."""
    if type(annotation) is type:
        return annotation.__name__
    return re.sub(r"\b(?:typing|latentry(?:\.\w+)*)\.", "", str(annotation))


def _peers(spec: Spec) -> str:
    """What other programs call it."""
    peers: tuple[PeerName, ...] = getattr(spec, "peers", ())
    rows = [
        (
            peer.peer,
            ", ".join(f"`{name}`" for name in (peer.name, *peer.others)),
            _shown("options", peer.options),
            peer.differs,
        )
        for peer in peers
    ]
    return "\n" + table(("elsewhere", "names", "options here", "differs"), rows)
