"""torch's flex_attention as an attention backend; ``backend.py`` computes it."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import AttentionBackendSpec, hookimpl


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """The backend of this distribution."""
    yield AttentionBackendSpec(
        name="flex",
        aliases=("flex-attention",),
        target="latentry_attention_flex.backend:FlexAttention",
        summary="torch's flex_attention: a kernel compiled for the layer on CUDA, eager on the CPU",
        citation="Dong et al. 2024, arXiv:2412.05496",
        devices=frozenset({"cpu", "cuda"}),
        dtypes=frozenset({"float32", "float16", "bfloat16"}),
        max_head_size=256,
        rank=5,
    )
