"""JSON Schemas of requests and of every option, strict JSON: enough to check values, and to draw forms."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, create_model

from latentry._discovery import PluginHost
from latentry._errors import LatentryError
from latentry._request._generation_request import GenerationRequest
from latentry._request._memory_policy import MemoryPolicy
from latentry._request._values._option import declared_options

Schema = dict[str, Any]

TARGETS = {
    "schedulers": "target",
    "sigma_schedules": "target",
    "guidance": "target",
    "families": "conditioning",
    "attention_backends": "target",
}
"""The host's registries whose records have options, and the field that says where these are declared."""
WRITTEN = "schemas.json"
"""In a plugin's package: the schemas of its options by registry and name, so that reading them imports no code."""
INFINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}
"""JSON has no infinite numbers: in requests, recipes and schemas they are these words."""
_ARGUMENT = re.compile(r"^    (\w+): (.+(?:\n        .+)*)", re.MULTILINE)
"""An argument and its description in a docstring."""


def request_schema(model: type[BaseModel] = GenerationRequest) -> Schema:
    """The schema of requests; needs no torch.

    A property has what a form needs besides: ``x-panel``, the heading it belongs under; ``x-unit``; ``x-names``, the
    registry of the host whose names are values; ``x-needs``, the field without which it has no effect.

    Args:
        model: ``GenerationRequest`` or ``MemoryPolicy``.
    """
    schema: Schema = strict(model.model_json_schema())
    for name, option in declared_options(model):
        hints = {"panel": option.panel.value, "unit": option.unit, "names": option.names, "needs": option.needs}
        schema["properties"][name] |= {f"x-{hint}": value for hint, value in hints.items() if value}
    return schema


def option_schema(host: PluginHost, kind: str, name: str) -> Schema:
    """The schema of the options of one scheduler, sigma schedule, guidance method, family or attention backend.

    It needs no torch where the plugin comes with a ``schemas.json``, as those of this repository do; else the plugin's
    code, which declares the options, is imported.

    Args:
        host: what is installed.
        kind: the host's registry, e.g. ``schedulers``.
        name: of the record.

    Raises:
        UnknownName: there is no such record.
        PluginError: its code cannot be imported.
    """
    written = _written(host, kind, name)
    return declared_schema(host, kind, name) if written is None else written


def declared_schema(host: PluginHost, kind: str, name: str) -> Schema:
    """``option_schema`` from the plugin's code, whatever is written."""
    registry = getattr(host, kind)
    summary = registry[name].summary
    if not getattr(registry[name], TARGETS[kind]):
        return {
            "title": name,
            "description": summary,
            "type": "object",
            "properties": {},
            "additionalProperties": False,
        }
    target = registry.load(name, TARGETS[kind])
    model = target if issubclass(target, BaseModel) else _as_model(target)
    schema: Schema = strict(model.model_json_schema())
    return schema | {"title": name, "description": summary}


def _written(host: PluginHost, kind: str, name: str) -> Schema | None:
    """What the package of an installed plugin has written down of a record; None where it has nothing."""
    registry = getattr(host, kind)
    spec = registry[name]
    if not registry.provenance(name).version:
        return None
    try:
        text = (files(spec.target.partition(":")[0].partition(".")[0]) / WRITTEN).read_text(encoding="utf-8")
    except (OSError, ImportError):
        return None
    found: Schema | None = json.loads(text).get(kind, {}).get(spec.name)
    return None if found is None else found | {"title": name}


def schemas(host: PluginHost) -> dict[str, Any]:
    """All of them: ``request``, ``memory``, and by registry and name those of the options.

    A record whose code has to be imported and cannot be is left out; ``host.problems`` has it then.
    """
    found: dict[str, Any] = {"request": request_schema(), "memory": request_schema(MemoryPolicy)}
    for kind in TARGETS:
        found[kind] = {}
        for name in getattr(host, kind):
            try:
                found[kind][name] = option_schema(host, kind, name)
            except LatentryError:
                continue
    return found


def strict(schema: Any) -> Any:
    """A schema without infinite numbers: bounds are left out, and where one is the default, its word is a value."""
    if isinstance(schema, Mapping):
        clean = {name: strict(value) for name, value in schema.items() if not _infinite(value) or name == "default"}
        if _infinite(schema.get("default")):
            number = {name: clean.pop(name) for name in tuple(clean) if name not in ("default", "description", "title")}
            word = INFINITE[schema["default"]]
            clean |= {"anyOf": [number, {"const": word}], "default": word}
        return clean
    if isinstance(schema, (list, tuple)):
        return [strict(item) for item in schema]
    return INFINITE.get(schema, schema) if isinstance(schema, float) else schema


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)


def _as_model(target: Any) -> type[BaseModel]:
    """A model of the keyword arguments of a plain class; its docstring describes them."""
    hints = get_type_hints(target.__init__)
    words = dict(_ARGUMENT.findall(inspect.getdoc(target) or ""))
    fields: dict[str, Any] = {
        name: (
            hints.get(name, Any),
            Field(
                default=... if parameter.default is parameter.empty else parameter.default,
                description=" ".join(words.get(name, "").split()) or None,
            ),
        )
        for name, parameter in inspect.signature(target).parameters.items()
    }
    return create_model(target.__name__, __config__={"extra": "forbid"}, **fields)
