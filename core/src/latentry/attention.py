"""What attention backends, and the families that call them, are written with.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._attention._arithmetic import causal_by_squares, contiguous_rows, masked_rows, padded_bias, score_bias
    from latentry._attention._demand import AttentionDemand
    from latentry._attention._guard import AttentionGuard
    from latentry._attention._packages import gpu_problem, package_problem
    from latentry._attention._serving import attention_backend
    from latentry._contract._model import AttentionBackend
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "causal_by_squares": "_attention._arithmetic",
            "contiguous_rows": "_attention._arithmetic",
            "masked_rows": "_attention._arithmetic",
            "padded_bias": "_attention._arithmetic",
            "score_bias": "_attention._arithmetic",
            "AttentionDemand": "_attention._demand",
            "AttentionGuard": "_attention._guard",
            "gpu_problem": "_attention._packages",
            "package_problem": "_attention._packages",
            "attention_backend": "_attention._serving",
            "AttentionBackend": "_contract._model",
        },
    )

__all__ = [
    "AttentionBackend",
    "AttentionDemand",
    "AttentionGuard",
    "attention_backend",
    "causal_by_squares",
    "contiguous_rows",
    "gpu_problem",
    "masked_rows",
    "package_problem",
    "padded_bias",
    "score_bias",
]
