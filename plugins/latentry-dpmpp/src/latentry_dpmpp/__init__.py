"""DPM-Solver++: what its members are. How they compute stands in one file each."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from latentry import PeerName, ProcessKind, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl

if TYPE_CHECKING:
    from latentry_dpmpp.dpmpp_2m import DPMpp2M
    from latentry_dpmpp.dpmpp_2m_sde import DPMpp2MSDE
    from latentry_dpmpp.dpmpp_2s_ancestral import DPMpp2SAncestral
    from latentry_dpmpp.dpmpp_3m import DPMpp3M
    from latentry_dpmpp.dpmpp_3m_sde import DPMpp3MSDE
    from latentry_dpmpp.dpmpp_sde import DPMppSDE

__all__ = ["DPMpp2M", "DPMpp2MSDE", "DPMpp2SAncestral", "DPMpp3M", "DPMpp3MSDE", "DPMppSDE"]

_PAPER = "Lu et al. 2022, DPM-Solver++, arXiv:2211.01095"
_CLASSES = {
    "DPMpp2M": "dpmpp_2m",
    "DPMpp2MSDE": "dpmpp_2m_sde",
    "DPMpp2SAncestral": "dpmpp_2s_ancestral",
    "DPMpp3M": "dpmpp_3m",
    "DPMpp3MSDE": "dpmpp_3m_sde",
    "DPMppSDE": "dpmpp_sde",
}
_VP: frozenset[ProcessKind] = frozenset({"vp"})
_FLOW: frozenset[ProcessKind] = frozenset({"flow"})
_EDM: frozenset[ProcessKind] = frozenset({"edm"})
_EVEN = SigmaPreference("latentry:exponential")


def _beta(alpha: float, beta: float, **holds: Any) -> SigmaPreference:
    """Many short steps in time near both ends; fewer near pure noise as β grows."""
    return SigmaPreference("latentry:beta", options=(("alpha", alpha), ("beta", beta)), **holds)


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """Multistep first, the stochastic ones after them."""
    yield from _ordinary()
    yield from _multistep_sde()
    yield from _single_step()


def _ordinary() -> Iterable[SchedulerSpec]:
    yield SchedulerSpec(
        name="dpmpp-2m",
        aliases=("dpmpp_2m", "DPMSolverMultistepScheduler"),
        peers=(PeerName(name="DPM++ 2M", peer="AUTOMATIC1111"),),
        target="latentry_dpmpp.dpmpp_2m:DPMpp2M",
        summary="second order, multistep, deterministic; the usual choice for guided sampling",
        citation=f"{_PAPER}, algorithm 2",
        order=2,
        sigmas=(
            _beta(0.6, 0.6, processes=_VP, max_steps=6),
            _beta(0.8, 1.0, processes=_FLOW, max_steps=15),
            _beta(1.0, 1.1, processes=_FLOW),
            SigmaPreference("latentry:kl-optimal", processes=_EDM),
            _EVEN,
        ),
        cases=(SchedulerCase(options=(("solver", "exact"),), order=2),),
    )
    yield SchedulerSpec(
        name="dpmpp-3m",
        aliases=("dpmpp_3m",),
        target="latentry_dpmpp.dpmpp_3m:DPMpp3M",
        summary="third order, multistep, deterministic",
        citation=_PAPER,
        order=3,
        sigmas=(
            _beta(0.8, 1.0, processes=_VP, max_steps=8),
            _beta(0.8, 1.0, processes=_FLOW),
            _beta(1.0, 1.5, processes=_EDM, max_steps=5),
            SigmaPreference("latentry:kl-optimal", processes=_EDM),
            _EVEN,
        ),
        cases=(SchedulerCase(options=(("lower_order_final", False),), order=3),),
    )


def _multistep_sde() -> Iterable[SchedulerSpec]:
    capped = (("longest_step", float("inf")),)
    differs = "over steps longer than `longest_step` the order is lowered"
    yield SchedulerSpec(
        name="dpmpp-2m-sde",
        aliases=("dpmpp_2m_sde",),
        peers=(
            PeerName(name="DPM++ 2M SDE", peer="AUTOMATIC1111", differs=differs),
            PeerName(name="DPM++ 2M SDE Heun", peer="AUTOMATIC1111", options=(("solver", "exact"),), differs=differs),
        ),
        target="latentry_dpmpp.dpmpp_2m_sde:DPMpp2MSDE",
        summary="weak order 2, multistep, stochastic; η 0 is 2M",
        citation=_PAPER,
        order=2,
        stochastic=True,
        sigmas=(_beta(0.8, 1.5, processes=_VP, max_steps=6), _beta(1.0, 1.5, processes=_FLOW), _EVEN),
        cases=(
            SchedulerCase(options=(("solver", "exact"), *capped), order=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.5),), order=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=2),
        ),
    )
    yield SchedulerSpec(
        name="dpmpp-3m-sde",
        aliases=("dpmpp_3m_sde",),
        peers=(
            PeerName(
                name="DPM++ 3M SDE",
                peer="AUTOMATIC1111",
                differs=f"its second difference counts half (variant=halved); {differs}",
            ),
        ),
        target="latentry_dpmpp.dpmpp_3m_sde:DPMpp3MSDE",
        summary="weak order 2 with a smaller error than 2M SDE, multistep, stochastic; η 0 is 3M",
        citation=_PAPER,
        order=2,
        stochastic=True,
        sigmas=(_beta(1.0, 1.5, processes=_FLOW), _EVEN),
        cases=(
            SchedulerCase(options=(("eta", 0.5),), order=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=3),
        ),
    )


def _single_step() -> Iterable[SchedulerSpec]:
    few = _beta(0.8, 1.5, processes=_VP, max_steps=6)
    yield SchedulerSpec(
        name="dpmpp-sde",
        aliases=("dpmpp_sde", "DPMSolverSDEScheduler"),
        peers=(PeerName(name="DPM++ SDE", peer="AUTOMATIC1111", options=(("solver", "midpoint"),)),),
        target="latentry_dpmpp.dpmpp_sde:DPMppSDE",
        summary="weak order 2, two evaluations a step on one noise path, stochastic",
        citation=f"{_PAPER}, algorithm 1, with noise",
        order=2,
        evaluations=2,
        stochastic=True,
        off_grid=True,
        sigmas=(few, _beta(1.0, 1.5, processes=_FLOW), _beta(0.8, 1.5, processes=_EDM), _EVEN),
        cases=(
            SchedulerCase(options=(("solver", "midpoint"),), order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("r", 0.3),), order=2, evaluations=2, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=2, evaluations=2),
        ),
    )
    yield SchedulerSpec(
        name="dpmpp-2s-ancestral",
        aliases=("dpmpp_2s_ancestral",),
        peers=(PeerName(name="DPM++ 2S a", peer="AUTOMATIC1111"),),
        target="latentry_dpmpp.dpmpp_2s_ancestral:DPMpp2SAncestral",
        summary="order 2 steps, two evaluations each, with ancestral noise between them",
        citation=f"{_PAPER}, algorithm 1, with noise",
        order=1,
        evaluations=2,
        stochastic=True,
        off_grid=True,
        sigmas=(_beta(0.8, 1.0, processes=_FLOW), _EVEN),
        cases=(SchedulerCase(options=(("eta", 0.0),), order=2, evaluations=2),),
    )


def __getattr__(name: str) -> Any:
    if name not in _CLASSES:
        raise AttributeError(f"module 'latentry_dpmpp' has no attribute {name!r}")
    return getattr(import_module(f"latentry_dpmpp.{_CLASSES[name]}"), name)
