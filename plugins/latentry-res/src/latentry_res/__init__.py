"""The records of refined exponential solvers; their code is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, hookimpl, lazy_exports
from latentry_res import _sigmas

if TYPE_CHECKING:
    from latentry_res.res_2m import RES2M
    from latentry_res.res_2s import RES2S
    from latentry_res.res_3m import RES3M
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"RES2M": "res_2m", "RES2S": "res_2s", "RES3M": "res_3m"})

__all__ = ["RES2M", "RES2S", "RES3M"]

_PAPER = "Zhang et al. 2023, Improved Order Analysis and Design of Exponential Integrator, arXiv:2308.02157"


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The schedulers of this distribution: two multistep solvers, one single-step solver."""
    yield SchedulerSpec(
        name="res-2m",
        target="latentry_res.res_2m:RES2M",
        summary="second order, multistep, deterministic; exact weights",
        citation=_PAPER,
        order=2,
        peers=(PeerName(name="res_multistep", peer="ComfyUI"),),
        sigmas=_sigmas.TWO_M,
        revision=3,
        guard_since=3,
        cases=(SchedulerCase(options=(("lower_order_final", True),), order=2),),
    )
    yield SchedulerSpec(
        name="res-3m",
        target="latentry_res.res_3m:RES3M",
        summary="third order, multistep, deterministic; exact weights",
        citation=_PAPER,
        order=3,
        sigmas=_sigmas.THREE_M,
        revision=3,
        guard_since=3,
        cases=(SchedulerCase(options=(("lower_order_final", False),), order=3),),
    )
    yield SchedulerSpec(
        name="res-2s",
        target="latentry_res.res_2s:RES2S",
        summary="second order, two evaluations a step, deterministic; no memory",
        citation=f"{_PAPER}, algorithm 1",
        order=2,
        evaluations=2,
        off_grid=True,
        sigmas=_sigmas.TWO_S,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(("c2", 0.3),), order=2, evaluations=2),
            SchedulerCase(options=(("c2", 1.0),), order=2, evaluations=2),
        ),
    )
