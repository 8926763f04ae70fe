"""The record of PNDM; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports
from latentry_pndm._sigmas import SIGMAS

if TYPE_CHECKING:
    from latentry_pndm.scheduler import PNDM
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"PNDM": "scheduler"})

__all__ = ["PNDM"]

_OWN = SigmaPreference("latentry:leading", options=(("offset", 1),), final="table")
"""Stable Diffusion's."""
_LIKE_PEERS = (("arrival", "full"), ("stable", False))


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="pndm",
        target="latentry_pndm.scheduler:PNDM",
        summary="second order, multistep with fixed weights (PLMS), deterministic; begins with PRK if asked",
        citation="Liu et al. 2022, Pseudo Numerical Methods, arXiv:2202.09778",
        order=2,
        variable_order=1,
        evaluations=2,
        off_grid=True,
        off_grid_by=("skip_prk",),
        peers=(
            PeerName(
                name="PNDMScheduler",
                peer="diffusers",
                options=(("middle", "timestep"), *_LIKE_PEERS),
                sigmas=_OWN,
                differs="it begins with PRK (skip_prk=false) unless the checkpoint skips it, as Stable Diffusion does",
            ),
            PeerName(
                name="PLMS",
                peer="AUTOMATIC1111",
                options=_LIKE_PEERS,
                sigmas=_OWN,
                differs="where N does not divide 1000 it makes more steps than it was asked for",
            ),
        ),
        sigmas=SIGMAS,
        revision=3,
        guard_since=3,
        cases=(SchedulerCase(options=(("skip_prk", False),), order=2, evaluations=4),),
    )
