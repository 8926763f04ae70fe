"""DDIM: what it is. How it computes stands in ``scheduler.py``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from latentry import SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_ddim.scheduler import DDIM

__all__ = ["DDIM"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The one scheduler of this distribution."""
    yield SchedulerSpec(
        name="ddim",
        aliases=("DDIMScheduler",),
        target="latentry_ddim.scheduler:DDIM",
        summary="first order, deterministic; η adds noise back, up to DDPM",
        citation="Song et al. 2020, Denoising Diffusion Implicit Models, arXiv:2010.02502",
        sigmas=(
            SigmaPreference("latentry:leading", options=(("offset", 1),), final="table"),
            SigmaPreference("latentry:trailing"),
        ),
    )


def __getattr__(name: str) -> Any:
    if name != "DDIM":
        raise AttributeError(f"module 'latentry_ddim' has no attribute {name!r}")
    from latentry_ddim.scheduler import DDIM

    return DDIM
