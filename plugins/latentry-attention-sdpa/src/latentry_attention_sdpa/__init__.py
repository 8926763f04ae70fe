"""torch's own attention kernels as an attention backend: chosen in ``backend.py``, called in ``kernels.py``."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import AttentionBackendSpec, hookimpl


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """The backend of this distribution."""
    yield AttentionBackendSpec(
        name="sdpa",
        target="latentry_attention_sdpa.backend:SDPA",
        summary="torch's own fused attention, with the kernel of torch's choice or yours",
        devices=frozenset({"cpu", "cuda", "mps"}),
        dtypes=frozenset({"float32", "float16", "bfloat16", "float64"}),
        rank=10,
    )
