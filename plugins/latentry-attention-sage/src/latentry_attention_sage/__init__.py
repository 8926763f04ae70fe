"""SageAttention as an attention backend; ``backend.py`` computes it."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import AttentionBackendSpec, hookimpl


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """The backend of this distribution."""
    yield AttentionBackendSpec(
        name="sage",
        aliases=("sageattention",),
        target="latentry_attention_sage.backend:SageAttention",
        summary="SageAttention: 8-bit scores, fast and not exact; no masks",
        citation="Zhang et al. 2024, arXiv:2410.02367 and arXiv:2411.10958",
        devices=frozenset({"cuda"}),
        dtypes=frozenset({"float16", "bfloat16"}),
        max_head_size=128,
        masks=False,
        error=0.05,
        extra="latentry-attention-sage[cuda]",
    )
