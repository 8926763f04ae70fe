"""The record of latent consistency sampling; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports

if TYPE_CHECKING:
    from latentry_lcm.scheduler import LCM
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"LCM": "scheduler"})

__all__ = ["LCM"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="lcm",
        target="latentry_lcm.scheduler:LCM",
        summary="for models distilled by consistency: jumps to x₀ and adds fresh noise, in 1 to 8 steps",
        citation="Luo et al. 2023, Latent Consistency Models, arXiv:2310.04378, algorithm 3",
        stochastic=True,
        peers=(
            PeerName(
                name="LCMScheduler",
                peer="diffusers",
                options=(("timestep_scaling", 10.0),),
                sigmas=SigmaPreference("latentry:distilled", processes=frozenset({"vp"})),
            ),
            PeerName(
                name="FlowMatchLCMScheduler",
                peer="diffusers",
                sigmas=SigmaPreference("latentry:linspace", processes=frozenset({"flow"})),
                differs="it applies a time shift twice, and can enlarge the sample between steps",
            ),
            PeerName(
                name="LCM",
                peer="AUTOMATIC1111",
                others=("k_lcm",),
                options=(("timestep_scaling", 10.0),),
                differs="it spaces its steps evenly from the first to the last of the model's 50 timesteps",
            ),
        ),
        sigmas=(SigmaPreference("latentry:distilled", max_steps=50), SigmaPreference("latentry:trailing")),
        exemptions=(
            ("variance", "for distilled models: with an exact denoiser it loses variance in every step"),
            ("stability", "for distilled models: each jump to x₀ is as far out as the guided output that it follows"),
        ),
    )
