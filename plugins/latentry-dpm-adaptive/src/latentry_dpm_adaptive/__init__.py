"""The records of DPM-Solver's single steps; their code is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import SchedulerSpec, hookimpl, lazy_exports
from latentry_dpm_adaptive import _names, _sigmas

if TYPE_CHECKING:
    from latentry_dpm_adaptive.dpm_adaptive import DPMAdaptive
    from latentry_dpm_adaptive.dpm_fast import DPMFast
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"DPMAdaptive": "dpm_adaptive", "DPMFast": "dpm_fast"})

__all__ = ["DPMAdaptive", "DPMFast"]

_PAPER = "Lu et al. 2022, DPM-Solver, arXiv:2206.00927"


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The schedulers of this distribution: adaptive steps, and a fixed number of evaluations."""
    yield SchedulerSpec(
        name="dpm-adaptive",
        target="latentry_dpm_adaptive.dpm_adaptive:DPMAdaptive",
        summary="third order, deterministic; chooses its own steps by a tolerance",
        citation=f"{_PAPER}, appendix C",
        order=3,
        evaluations=0,
        off_grid=True,
        adaptive=True,
        peers=_names.ADAPTIVE,
        sigmas=_sigmas.ADAPTIVE,
    )
    yield SchedulerSpec(
        name="dpm-fast",
        target="latentry_dpm_adaptive.dpm_fast:DPMFast",
        summary="third order, deterministic; single steps of three evaluations, which are three steps of the grid",
        citation=f"{_PAPER}, section 3.4",
        order=3,
        variable_order=2,
        peers=_names.FAST,
        sigmas=_sigmas.FAST,
        revision=2,
        guard_since=2,
    )
