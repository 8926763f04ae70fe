"""The record of iPNDM; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, hookimpl, lazy_exports
from latentry_ipndm._evidence import EVIDENCE
from latentry_ipndm._sigmas import SIGMAS

if TYPE_CHECKING:
    from latentry_ipndm.scheduler import IPNDM
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"IPNDM": "scheduler"})

__all__ = ["IPNDM"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="ipndm",
        evidence=EVIDENCE,
        target="latentry_ipndm.scheduler:IPNDM",
        summary="second order with a small constant, multistep with fixed weights, deterministic",
        citation="Zhang and Chen 2022, DEIS, arXiv:2204.13902, section 3.2",
        order=2,
        variable_order=1,
        peers=(
            PeerName(
                name="IPNDMScheduler",
                peer="diffusers",
                options=(("arrival", "full"), ("stable", False)),
                differs="its grid is its own (σ is the square of a sine of even steps), and its first step from pure "
                "noise loses x₀",
            ),
        ),
        sigmas=SIGMAS,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(("order", 1),), order=1),
            SchedulerCase(options=(("order", 2),), order=2),
            SchedulerCase(options=(("order", 3),), order=2),
        ),
    )
