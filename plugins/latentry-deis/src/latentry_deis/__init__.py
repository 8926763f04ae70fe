"""The record of DEIS; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports
from latentry_deis._evidence import EVIDENCE
from latentry_deis._sigmas import SIGMAS

if TYPE_CHECKING:
    from latentry_deis.scheduler import DEIS
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"DEIS": "scheduler"})

__all__ = ["DEIS"]


_LINSPACE = SigmaPreference(
    "latentry:linspace",
    options=(("multistep", True), ("rounded", True)),
    final="table",
    processes=frozenset({"vp"}),
)
"""diffusers' grid on Stable Diffusion."""


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="deis",
        evidence=EVIDENCE,
        target="latentry_deis.scheduler:DEIS",
        summary="third order, multistep on the noise prediction, deterministic",
        citation="Zhang and Chen 2022, Fast Sampling with Exponential Integrator, arXiv:2204.13902",
        order=3,
        peers=(
            PeerName(
                name="DEISMultistepScheduler",
                peer="diffusers",
                options=(("order", 2),),
                sigmas=_LINSPACE,
                differs="from 15 steps on it keeps order 2 in the last one (lower_order_final=false), and on flow "
                "models it repeats the last σ and never reaches 0",
            ),
        ),
        sigmas=SIGMAS,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(("order", 2),), order=2),
            SchedulerCase(options=(("order", 4),), order=4),
            SchedulerCase(options=(("variable", "rho"),), order=3),
        ),
    )
