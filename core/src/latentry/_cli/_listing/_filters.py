"""Which schedulers a listing keeps."""

from __future__ import annotations

from latentry._specs import SchedulerSpec

FEW = 8
"""Steps that are few."""
DISTILLED = "latentry:distilled"


def for_few_steps(spec: SchedulerSpec) -> bool:
    """Whether it has a sigma schedule of its own for few steps, at one evaluation each."""
    own = any(p.name == DISTILLED or (p.max_steps is not None and p.max_steps <= FEW) for p in spec.sigmas)
    return own and spec.evaluations == 1
