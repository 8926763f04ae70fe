"""Attention in slices as an attention backend; ``backend.py`` computes it."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import AttentionBackendSpec, hookimpl


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """The backend of this distribution."""
    yield AttentionBackendSpec(
        name="sliced",
        target="latentry_attention_sliced.backend:Sliced",
        summary="a few rows or heads at a time, with plain matrix products: memory linear in the tokens, on any device",
        devices=frozenset({"cpu", "cuda", "mps"}),
        dtypes=frozenset({"float32", "float16", "bfloat16", "float64"}),
        rank=1,
    )
