"""Records as plain data, for ``--json``."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

from latentry._discovery import Registry


def plain(value: Any) -> Any:
    """A value as JSON has it: records become objects, sets sorted lists, infinite numbers words as in a request."""
    if value is None or isinstance(value, (str, int)):
        return value  # most are
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0.0 else "-Infinity"
    return value


def record(registry: Registry[Any], name: str) -> dict[str, Any]:
    """Everything known about a record.

    ``select`` is what to type for it: the short name, or the qualified one where two plugins give that.
    """
    owner = registry.provenance(name)
    return {
        "select": name,
        "qualified": registry.qualified(name),
        "plugin": owner.plugin,
        "distribution": owner.distribution,
        "version": owner.version,
        **plain(registry[name]),
        "aliases": list(registry.aliases(name)),
    }
