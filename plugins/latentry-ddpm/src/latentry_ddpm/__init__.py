"""DDPM: what it is. How it computes stands in ``scheduler.py``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from latentry import SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_ddpm.scheduler import DDPM

__all__ = ["DDPM"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The one scheduler of this distribution."""
    yield SchedulerSpec(
        name="ddpm",
        aliases=("DDPMScheduler",),
        target="latentry_ddpm.scheduler:DDPM",
        summary="weak order 1, stochastic; the posterior's mean, and its variance by either bound",
        citation="Ho et al. 2020, Denoising Diffusion Probabilistic Models, arXiv:2006.11239, algorithm 2",
        stochastic=True,
        sigmas=(SigmaPreference("latentry:kl-optimal"),),
        cases=(SchedulerCase(options=(("variance", "large"),), order=1, stochastic=True),),
    )


def __getattr__(name: str) -> Any:
    if name != "DDPM":
        raise AttributeError(f"module 'latentry_ddpm' has no attribute {name!r}")
    from latentry_ddpm.scheduler import DDPM

    return DDPM
