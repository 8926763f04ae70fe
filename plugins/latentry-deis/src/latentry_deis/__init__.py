"""DEIS: what it is. How it computes stands in ``scheduler.py``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from latentry import SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_deis.scheduler import DEIS

__all__ = ["DEIS"]

_LATE = (("alpha", 0.8), ("beta", 1.0))


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The one scheduler of this distribution."""
    yield SchedulerSpec(
        name="deis",
        aliases=("DEISMultistepScheduler",),
        target="latentry_deis.scheduler:DEIS",
        summary="third order, multistep on the noise prediction, deterministic",
        citation="Zhang and Chen 2022, Fast Sampling with Exponential Integrator, arXiv:2204.13902",
        order=3,
        sigmas=(
            SigmaPreference("latentry:beta", processes=frozenset({"vp"}), max_steps=6),
            SigmaPreference("latentry:beta", options=_LATE, processes=frozenset({"flow"}), max_steps=6),
            SigmaPreference("latentry:beta", processes=frozenset({"flow"})),
            SigmaPreference("latentry:kl-optimal", processes=frozenset({"edm"})),
            SigmaPreference("latentry:exponential"),
        ),
        cases=(
            SchedulerCase(options=(("order", 2),), order=2),
            SchedulerCase(options=(("order", 4),), order=4),
            SchedulerCase(options=(("variable", "rho"),), order=3),
        ),
    )


def __getattr__(name: str) -> Any:
    if name != "DEIS":
        raise AttributeError(f"module 'latentry_deis' has no attribute {name!r}")
    from latentry_deis.scheduler import DEIS

    return DEIS
