"""The record of ancestral sampling; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports

if TYPE_CHECKING:
    from latentry_euler_ancestral.scheduler import EulerAncestral
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"EulerAncestral": "scheduler"})

__all__ = ["EulerAncestral"]

_LINSPACE = SigmaPreference("latentry:linspace", processes=frozenset({"vp"}))
"""diffusers' grid on Stable Diffusion."""

_LATE = SigmaPreference("latentry:beta", options=(("alpha", 0.4), ("beta", 1.5)), processes=frozenset({"vp"}))
"""Puts most steps where little noise is left, because most variance is lost there."""


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="euler-ancestral",
        target="latentry_euler_ancestral.scheduler:EulerAncestral",
        summary="weak order 1, stochastic; Euler below the end of the step, fresh noise up to it",
        citation="Song et al. 2020, Score-Based Generative Modeling, arXiv:2011.13456, appendix F",
        stochastic=True,
        peers=(
            PeerName(name="EulerAncestralDiscreteScheduler", peer="diffusers", sigmas=_LINSPACE),
            PeerName(name="LTXEulerAncestralRFScheduler", peer="diffusers", options=(("eta_rule", "flow"),)),
            PeerName(
                name="Euler a",
                peer="AUTOMATIC1111",
                others=("k_euler_a", "k_euler_ancestral"),
                sigmas=SigmaPreference("latentry:normal"),
                differs="on flow models it takes t for σ/α, which leaves too strong a signal",
            ),
            PeerName(
                name="euler_ancestral",
                peer="ComfyUI",
                differs="on flow models its η counts in t (eta_rule=flow)",
            ),
            PeerName(name="sample_euler_ancestral", peer="k-diffusion"),
            PeerName(name="euler_a", peer="stable-diffusion.cpp"),
        ),
        sigmas=(_LATE, SigmaPreference("latentry:kl-optimal")),
        revision=2,
        cases=(
            SchedulerCase(options=(("eta", 0.5),), order=1, stochastic=True),
            SchedulerCase(options=(("eta", 0.5), ("eta_rule", "sde")), order=1, stochastic=True),
            SchedulerCase(options=(("eta_rule", "flow"),), order=1, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=1),
        ),
    )
