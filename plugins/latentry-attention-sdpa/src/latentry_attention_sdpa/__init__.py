"""Attention through torch's ``scaled_dot_product_attention``; it computes in ``backend.py``."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import AttentionBackendSpec, hookimpl


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """The one backend of this distribution."""
    yield AttentionBackendSpec(
        name="sdpa",
        target="latentry_attention_sdpa.backend:SDPA",
        summary="torch's own fused attention, which picks its kernel itself",
        devices=frozenset({"cpu", "cuda", "mps"}),
        dtypes=frozenset({"float32", "float16", "bfloat16", "float64"}),
        rank=10,
    )
