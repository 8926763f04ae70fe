"""A loose plugin for the tests: attention backends that are at fault, each in its own way, and limited ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from latentry import AttentionBackendSpec, hookimpl

BACKENDS: dict[str, dict[str, Any]] = {
    "wrong": {"rank": 90},
    "maskless": {"rank": 80},
    "failing": {"rank": 70},
    "importing": {"rank": 60, "target": "crooked.absent:Absent"},
    "driverless": {"rank": 50},
    "rough": {"rank": 40, "error": 0.2},
    "narrow": {"rank": 30, "masks": False, "max_head_size": 64},
    "fickle": {"rank": 20},
    "wide": {"rank": 10, "dtypes": frozenset({"float32", "float16", "bfloat16"})},
}


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """All of ``BACKENDS``."""
    for name, about in BACKENDS.items():
        common = {
            "target": f"crooked.attention:{name.capitalize()}",
            "summary": "For a test.",
            "devices": frozenset({"cpu"}),
            "dtypes": frozenset({"float32"}),
        }
        yield AttentionBackendSpec(name=name, **(common | about))
