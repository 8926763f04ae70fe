"""PNDM: what it is. How it computes stands in ``scheduler.py``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_pndm.scheduler import PNDM

__all__ = ["PNDM"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The one scheduler of this distribution."""
    yield SchedulerSpec(
        name="pndm",
        aliases=("plms",),
        target="latentry_pndm.scheduler:PNDM",
        summary="second order, multistep with fixed weights (PLMS), deterministic; begins with PRK if asked",
        citation="Liu et al. 2022, Pseudo Numerical Methods, arXiv:2202.09778",
        order=2,
        variable_order=1,
        evaluations=2,
        off_grid=True,
        sigmas=(
            SigmaPreference("latentry:leading", final="table", max_steps=12),
            SigmaPreference("latentry:trailing", max_steps=12),
            SigmaPreference("latentry:exponential"),
        ),
        peers=(
            PeerName(
                name="PNDMScheduler",
                peer="diffusers",
                options=(("middle", "timestep"), ("arrival", "full"), ("longest_step", math.inf)),
                differs="it begins with PRK unless skip_prk_steps is set, as Stable Diffusion does",
            ),
        ),
        cases=(SchedulerCase(options=(("skip_prk", False),), order=2, evaluations=4),),
    )


def __getattr__(name: str) -> Any:
    if name != "PNDM":
        raise AttributeError(f"module 'latentry_pndm' has no attribute {name!r}")
    from latentry_pndm.scheduler import PNDM

    return PNDM
