"""Attention through torch's own kernels: the choice stands in ``backend.py``, the kernels in ``kernels.py``."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import AttentionBackendSpec, hookimpl


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """The one backend of this distribution."""
    yield AttentionBackendSpec(
        name="sdpa",
        target="latentry_attention_sdpa.backend:SDPA",
        summary="torch's own fused attention; the kernel is torch's choice or yours",
        devices=frozenset({"cpu", "cuda", "mps"}),
        dtypes=frozenset({"float32", "float16", "bfloat16", "float64"}),
        rank=10,
    )
