"""FlashAttention as an attention backend; ``backend.py`` computes it."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import AttentionBackendSpec, hookimpl


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """The backend of this distribution."""
    yield AttentionBackendSpec(
        name="flash",
        aliases=("flash-attention",),
        target="latentry_attention_flash.backend:FlashAttention",
        summary="FlashAttention 2, and 3 on Hopper; no masks",
        citation="Dao 2023, arXiv:2307.08691; Shah et al. 2024, arXiv:2407.08608",
        devices=frozenset({"cuda"}),
        dtypes=frozenset({"float16", "bfloat16"}),
        max_head_size=256,
        head_multiple=8,
        masks=False,
        rank=20,
        extra="latentry-attention-flash[cuda]",
    )
