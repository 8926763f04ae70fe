"""The records of DPM-Solver++; their code is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import SchedulerCase, SchedulerSpec, hookimpl, lazy_exports
from latentry_dpmpp import _names, _sigmas
from latentry_dpmpp._evidence import EVIDENCE

if TYPE_CHECKING:
    from latentry_dpmpp.dpmpp_2m import DPMpp2M
    from latentry_dpmpp.dpmpp_2m_sde import DPMpp2MSDE
    from latentry_dpmpp.dpmpp_2s_ancestral import DPMpp2SAncestral
    from latentry_dpmpp.dpmpp_3m import DPMpp3M
    from latentry_dpmpp.dpmpp_3m_sde import DPMpp3MSDE
    from latentry_dpmpp.dpmpp_sde import DPMppSDE
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "DPMpp2M": "dpmpp_2m",
            "DPMpp2MSDE": "dpmpp_2m_sde",
            "DPMpp2SAncestral": "dpmpp_2s_ancestral",
            "DPMpp3M": "dpmpp_3m",
            "DPMpp3MSDE": "dpmpp_3m_sde",
            "DPMppSDE": "dpmpp_sde",
        },
    )

__all__ = ["DPMpp2M", "DPMpp2MSDE", "DPMpp2SAncestral", "DPMpp3M", "DPMpp3MSDE", "DPMppSDE"]

_UNFITTED = (("fitted", False),)
_PAPER = "Lu et al. 2022, DPM-Solver++, arXiv:2211.01095"


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The schedulers of this distribution: multistep first, the stochastic ones after them."""
    yield from _ordinary()
    yield from _multistep_sde()
    yield from _single_step()


def _ordinary() -> Iterable[SchedulerSpec]:
    yield SchedulerSpec(
        name="dpmpp-2m",
        evidence=EVIDENCE,
        peers=_names.TWO_M,
        target="latentry_dpmpp.dpmpp_2m:DPMpp2M",
        summary="second order, multistep, deterministic; the usual choice for guided sampling",
        citation=f"{_PAPER}, algorithm 2",
        order=2,
        sigmas=_sigmas.TWO_M,
        revision=3,
        guard_since=3,
        cases=(SchedulerCase(options=(("solver", "exact"),), order=2),),
    )
    yield SchedulerSpec(
        name="dpmpp-3m",
        target="latentry_dpmpp.dpmpp_3m:DPMpp3M",
        summary="third order, multistep, deterministic",
        citation=_PAPER,
        order=3,
        sigmas=_sigmas.THREE_M,
        revision=3,
        guard_since=3,
        cases=(SchedulerCase(options=(("lower_order_final", False),), order=3),),
    )


def _multistep_sde() -> Iterable[SchedulerSpec]:
    capped = (("longest_step", float("inf")),)
    yield SchedulerSpec(
        name="dpmpp-2m-sde",
        peers=_names.TWO_M_SDE,
        target="latentry_dpmpp.dpmpp_2m_sde:DPMpp2MSDE",
        summary="weak order 2, multistep, stochastic; η 0 is 2M",
        citation=_PAPER,
        order=2,
        stochastic=True,
        sigmas=_sigmas.TWO_M_SDE,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(("solver", "exact"), *capped), order=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.5),), order=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=2),
        ),
    )
    yield SchedulerSpec(
        name="dpmpp-3m-sde",
        peers=_names.THREE_M_SDE,
        target="latentry_dpmpp.dpmpp_3m_sde:DPMpp3MSDE",
        summary="weak order 2 with a smaller error than 2M SDE, multistep, stochastic; η 0 is 3M",
        citation=_PAPER,
        order=2,
        stochastic=True,
        sigmas=_sigmas.THREE_M_SDE,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(("eta", 0.5),), order=2, stochastic=True),
            SchedulerCase(options=(("steady", False),), order=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=3),
        ),
    )


def _single_step() -> Iterable[SchedulerSpec]:
    yield SchedulerSpec(
        name="dpmpp-sde",
        peers=_names.SDE,
        target="latentry_dpmpp.dpmpp_sde:DPMppSDE",
        summary="weak order 2, two evaluations a step on one noise path, stochastic",
        citation=f"{_PAPER}, algorithm 1, with noise",
        order=2,
        evaluations=2,
        stochastic=True,
        off_grid=True,
        sigmas=_sigmas.SDE,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(*_UNFITTED, ("solver", "midpoint")), order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("r", 0.3),), order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=2, evaluations=2),
        ),
    )
    yield SchedulerSpec(
        name="dpmpp-2s-ancestral",
        peers=_names.TWO_S,
        target="latentry_dpmpp.dpmpp_2s_ancestral:DPMpp2SAncestral",
        summary="weak order 2, two evaluations a step, with ancestral noise after it",
        citation=f"{_PAPER}, algorithm 1, with noise",
        order=2,
        evaluations=2,
        stochastic=True,
        off_grid=True,
        sigmas=_sigmas.TWO_S,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=_UNFITTED, order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=2, evaluations=2),
            SchedulerCase(options=(("eta", 0.5),), order=2, evaluations=2, stochastic=True),
        ),
    )
