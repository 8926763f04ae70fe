"""UniPC: what it is. How it computes stands in ``scheduler.py``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from latentry import PeerName, ProcessKind, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_unipc.scheduler import UniPC

__all__ = ["UniPC"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The one scheduler of this distribution."""
    yield SchedulerSpec(
        name="unipc",
        aliases=("uni_pc", "UniPCMultistepScheduler"),
        peers=(PeerName(name="UniPC", peer="AUTOMATIC1111"), PeerName(name="uni_pc_bh2", peer="ComfyUI")),
        target="latentry_unipc.scheduler:UniPC",
        summary="third order with its corrector, one evaluation a step; good results in few steps",
        citation="Zhao et al. 2023, UniPC, arXiv:2302.04867",
        order=3,
        sigmas=_SIGMAS,
        cases=tuple(SchedulerCase(options=options, order=order) for options, order in _CASES),
    )


_VP: frozenset[ProcessKind] = frozenset({"vp"})
_FLOW: frozenset[ProcessKind] = frozenset({"flow"})
_EDM: frozenset[ProcessKind] = frozenset({"edm"})
_SIGMAS = (
    SigmaPreference("latentry:beta", options=(("alpha", 0.8), ("beta", 1.0)), processes=_VP, max_steps=6),
    SigmaPreference("latentry:polyexponential", options=(("rho", 1.1),), processes=_VP, max_steps=15),
    SigmaPreference("latentry:linspace", options=(("multistep", True),), processes=_FLOW),
    SigmaPreference("latentry:beta", options=(("alpha", 1.0), ("beta", 1.5)), processes=_EDM, max_steps=5),
    SigmaPreference("latentry:kl-optimal", processes=_EDM),
    SigmaPreference("latentry:exponential"),
)
"""On VP about even in λ is best from 7 steps on; with fewer its first steps are too long for strong guidance."""
_CASES: tuple[tuple[tuple[tuple[str, float | int | str | bool], ...], int], ...] = (
    ((("order", 1),), 2),
    ((("order", 3),), 4),
    ((("variant", "bh1"),), 3),
    ((("variant", "exact"),), 3),
    ((("form", "eps"),), 3),
    ((("corrector", 0.0), ("order", 3)), 3),
    ((("corrector", 0.5),), 2),
)
"""Options, and the order under them."""


def __getattr__(name: str) -> Any:
    if name != "UniPC":
        raise AttributeError(f"module 'latentry_unipc' has no attribute {name!r}")
    from latentry_unipc.scheduler import UniPC

    return UniPC
