"""xformers as an attention backend; ``backend.py`` computes it."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import AttentionBackendSpec, hookimpl


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """The backend of this distribution."""
    yield AttentionBackendSpec(
        name="xformers",
        target="latentry_attention_xformers.backend:XFormers",
        summary="xformers' memory-efficient attention, with masks",
        citation="Rabe and Staats 2021, arXiv:2112.05682",
        devices=frozenset({"cuda"}),
        dtypes=frozenset({"float32", "float16", "bfloat16"}),
        head_multiple=8,
        rank=8,
        extra="latentry-attention-xformers[cuda]",
    )
