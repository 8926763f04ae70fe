"""A loose plugin for the tests: attention by its definition in float64, as a backend."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import AttentionBackendSpec, hookimpl


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """It is slow, and ``auto`` never comes to it."""
    yield AttentionBackendSpec(
        name="reference",
        target="latentry.testing:EagerAttention",
        summary="For a test.",
        devices=frozenset({"cpu"}),
        dtypes=frozenset({"float32", "float16", "bfloat16"}),
        rank=-1,
    )
