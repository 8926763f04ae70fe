"""The record of SA-Solver; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports
from latentry_sa_solver._sigmas import SIGMAS

if TYPE_CHECKING:
    from latentry_sa_solver.scheduler import SASolver
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"SASolver": "scheduler"})

__all__ = ["SASolver"]

_LINSPACE = SigmaPreference(
    "latentry:linspace",
    options=(("multistep", True), ("rounded", True)),
    final="table",
    processes=frozenset({"vp"}),
)
"""diffusers' grid on Stable Diffusion."""
_WINDOW = (("tau", 1.0), ("tau_min", 0.5716), ("tau_max", 5.1111), ("longest_step", math.inf))
"""The reverse SDE between timesteps 200 and 800 of Stable Diffusion's table, an ODE outside."""
_PERCENT = "its window of noise is given in percent of the model's time"


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="sa-solver",
        target="latentry_sa_solver.scheduler:SASolver",
        summary="weak order 2, stochastic predictor and corrector at one evaluation a step",
        citation="Xue et al. 2023, SA-Solver, arXiv:2309.05019, algorithm 1",
        order=2,
        stochastic=True,
        peers=(
            PeerName(
                name="SASolverScheduler",
                peer="diffusers",
                options=(("corrector", 2), ("simplified", True), *_WINDOW),
                sigmas=_LINSPACE,
                differs="on flow models and Karras grids it lists the last σ twice and never reaches 0",
            ),
            PeerName(
                name="sa_solver",
                peer="ComfyUI",
                options=(("predictor", 3), ("corrector", 4), *_WINDOW),
                differs=_PERCENT,
            ),
            PeerName(
                name="sa_solver_pece",
                peer="ComfyUI",
                options=(("predictor", 3), ("corrector", 4), ("pece", True), *_WINDOW),
                differs=_PERCENT,
            ),
        ),
        sigmas=SIGMAS,
        revision=3,
        guard_since=3,
        cases=(
            SchedulerCase(options=(("tau", 1.0),), order=2, stochastic=True),
            SchedulerCase(options=(("corrector", 0),), order=2, stochastic=True),
            SchedulerCase(options=(("corrector", 2), ("simplified", True)), order=2, stochastic=True),
            SchedulerCase(options=(("predictor", 3), ("corrector", 4)), order=2, stochastic=True),
            SchedulerCase(options=(("tau", 0.0), ("corrector", 2)), order=2),
            SchedulerCase(options=(("tau", 0.0), ("predictor", 3), ("corrector", 3)), order=3),
            SchedulerCase(options=(("pece", True),), order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("pece", True), ("tau", 0.0), ("corrector", 2)), order=2, evaluations=2),
        ),
    )
