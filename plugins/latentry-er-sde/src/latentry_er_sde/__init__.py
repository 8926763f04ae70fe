"""The record of ER-SDE-Solver; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, hookimpl, lazy_exports, sigma_preferences

if TYPE_CHECKING:
    from latentry_er_sde.scheduler import ERSDE
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"ERSDE": "scheduler"})

__all__ = ["ERSDE"]

_SIGMAS = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.3, "rho": 1.0, "few": 4}),
    ("flow", None, "latentry:receding", {"end": 0.2, "rho": 0.8, "few": 0, "top": 8.0}),
    ("edm", None, "latentry:receding", {"end": 0.5, "rho": 1.0, "few": 4}),
)
"""Chosen by variance error on Gaussians."""


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="er-sde",
        target="latentry_er_sde.scheduler:ERSDE",
        summary="weak order 2, multistep, stochastic; how much noise it replaces is a function φ(σ)",
        citation="Cui et al. 2023, Elucidating the solution space of extended reverse-time SDE, arXiv:2309.06169",
        order=2,
        stochastic=True,
        peers=(
            PeerName(
                name="er_sde",
                peer="ComfyUI",
                differs="its third stage is the paper's, which is of second order",
            ),
        ),
        sigmas=_SIGMAS,
        revision=2,
        guard_since=2,
        cases=(
            SchedulerCase(options=(("order", 1),), order=1, stochastic=True),
            SchedulerCase(options=(("order", 2),), order=2, stochastic=True),
            SchedulerCase(options=(("phi", "power"), ("eta", 1.0)), order=2, stochastic=True),
            SchedulerCase(options=(("phi", "power"), ("eta", 0.0)), order=3),
        ),
    )
