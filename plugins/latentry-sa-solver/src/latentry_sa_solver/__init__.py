"""SA-Solver: what it is. How it computes stands in ``scheduler.py``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_sa_solver.scheduler import SASolver

__all__ = ["SASolver"]


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The one scheduler of this distribution."""
    yield SchedulerSpec(
        name="sa-solver",
        aliases=("sa_solver",),
        target="latentry_sa_solver.scheduler:SASolver",
        summary="weak order 2, stochastic predictor and corrector at one evaluation a step",
        citation="Xue et al. 2023, SA-Solver, arXiv:2309.05019, algorithm 1",
        order=2,
        stochastic=True,
        sigmas=(SigmaPreference("latentry:kl-optimal", max_steps=20), SigmaPreference("latentry:exponential")),
        peers=(
            PeerName(
                name="SASolverScheduler",
                peer="diffusers",
                options=(("corrector", 2), ("tau", 1.0), ("simplified", True), ("longest_step", math.inf)),
                differs="its τ is 1 from timestep 200 to 800 and 0 elsewhere, which tau_min and tau_max give",
            ),
        ),
        cases=(
            SchedulerCase(options=(("tau", 1.0),), order=2, stochastic=True),
            SchedulerCase(options=(("corrector", 0),), order=2, stochastic=True),
            SchedulerCase(options=(("corrector", 2), ("simplified", True)), order=2, stochastic=True),
            SchedulerCase(options=(("predictor", 3), ("corrector", 4)), order=2, stochastic=True),
            SchedulerCase(options=(("tau", 0.0), ("corrector", 2)), order=2),
            SchedulerCase(options=(("tau", 0.0), ("predictor", 3), ("corrector", 3)), order=3),
        ),
    )


def __getattr__(name: str) -> Any:
    if name != "SASolver":
        raise AttributeError(f"module 'latentry_sa_solver' has no attribute {name!r}")
    from latentry_sa_solver.scheduler import SASolver

    return SASolver
