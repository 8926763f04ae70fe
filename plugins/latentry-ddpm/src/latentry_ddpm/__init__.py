"""The record of DDPM; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports

if TYPE_CHECKING:
    from latentry_ddpm.scheduler import DDPM
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"DDPM": "scheduler"})

__all__ = ["DDPM"]

_OWN = SigmaPreference("latentry:leading", options=(("offset", 1),))
"""Stable Diffusion's grid, down to σ = 0."""

_LATE = SigmaPreference("latentry:beta", options=(("alpha", 0.4), ("beta", 1.5)), processes=frozenset({"vp"}))
"""Puts most steps where little noise is left, because most variance is lost there."""


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="ddpm",
        target="latentry_ddpm.scheduler:DDPM",
        summary="weak order 1, stochastic; the posterior's mean, and its variance by either bound",
        citation="Ho et al. 2020, Denoising Diffusion Probabilistic Models, arXiv:2006.11239, algorithm 2",
        stochastic=True,
        peers=(
            PeerName(name="DDPMScheduler", peer="diffusers", sigmas=_OWN),
            PeerName(
                name="DDPMParallelScheduler",
                peer="diffusers",
                sigmas=_OWN,
                differs="its parallel sampling of the whole path (ParaDiGMS) is not available",
            ),
            PeerName(
                name="UnCLIPScheduler",
                peer="diffusers",
                sigmas=SigmaPreference("latentry:linspace", options=(("rounded", True),)),
                differs="it clips x̂₀ to ±1, and can take a learned variance",
            ),
            PeerName(
                name="DDPMWuerstchenScheduler",
                peer="diffusers",
                differs="a cosine of noise levels comes from the checkpoint here, and the peer ends at ᾱ = 0.9999",
            ),
        ),
        sigmas=(_LATE, SigmaPreference("latentry:kl-optimal")),
        revision=2,
        cases=(SchedulerCase(options=(("variance", "large"),), order=1, stochastic=True),),
    )
