"""The records of SEEDS; their code is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, hookimpl, lazy_exports
from latentry_seeds import _sigmas

if TYPE_CHECKING:
    from latentry_seeds.seeds_2 import SEEDS2
    from latentry_seeds.seeds_3 import SEEDS3
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"SEEDS2": "seeds_2", "SEEDS3": "seeds_3"})

__all__ = ["SEEDS2", "SEEDS3"]

_PAPER = "Gonzalez et al. 2023, SEEDS: Exponential SDE Solvers, arXiv:2305.14267"
_UNFITTED = (("fitted", False),)
_HEUN = (*_UNFITTED, ("r", 1.0), ("solver", "exact"))


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The schedulers of this distribution: two stages, and three."""
    yield SchedulerSpec(
        name="seeds-2",
        target="latentry_seeds.seeds_2:SEEDS2",
        summary="weak order 2, two evaluations a step on one noise path, stochastic",
        citation=f"{_PAPER}, algorithm 3",
        order=2,
        evaluations=2,
        stochastic=True,
        off_grid=True,
        peers=(
            PeerName(name="seeds_2", peer="ComfyUI", others=("SEEDS",), options=_UNFITTED),
            PeerName(name="exp_heun_2_x0", peer="ComfyUI", options=(*_HEUN, ("eta", 0.0))),
            PeerName(name="exp_heun_2_x0_sde", peer="ComfyUI", options=_HEUN),
        ),
        sigmas=_sigmas.TWO,
        revision=2,
        guard_since=2,
        cases=(
            SchedulerCase(options=(*_UNFITTED, ("solver", "exact")), order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("r", 1.0),), order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=_HEUN, order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.5), ("r", 0.3)), order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=2, evaluations=2),
        ),
    )
    yield SchedulerSpec(
        name="seeds-3",
        target="latentry_seeds.seeds_3:SEEDS3",
        summary="weak order 2 with a smaller error, three evaluations a step on one noise path, stochastic",
        citation=f"{_PAPER}, algorithm 4",
        order=2,
        evaluations=3,
        stochastic=True,
        off_grid=True,
        peers=(PeerName(name="seeds_3", peer="ComfyUI"),),
        sigmas=_sigmas.THREE,
        revision=2,
        guard_since=2,
        cases=(
            SchedulerCase(options=(("eta", 0.5), ("r2", 1.0)), order=2, evaluations=3, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=3, evaluations=3),
        ),
    )
