"""The records of CFG++; their code is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, hookimpl, lazy_exports
from latentry_cfgpp import _sigmas

if TYPE_CHECKING:
    from latentry_cfgpp.ddim import DDIMCFGpp
    from latentry_cfgpp.dpmpp_2m import DPMpp2MCFGpp
    from latentry_cfgpp.dpmpp_2s_ancestral import DPMpp2SAncestralCFGpp
    from latentry_cfgpp.euler_ancestral import EulerAncestralCFGpp
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "DDIMCFGpp": "ddim",
            "DPMpp2MCFGpp": "dpmpp_2m",
            "DPMpp2SAncestralCFGpp": "dpmpp_2s_ancestral",
            "EulerAncestralCFGpp": "euler_ancestral",
        },
    )

__all__ = ["DDIMCFGpp", "DPMpp2MCFGpp", "DPMpp2SAncestralCFGpp", "EulerAncestralCFGpp"]

_PAPER = "Chung et al. 2024, CFG++: Manifold-constrained Classifier Free Guidance, arXiv:2406.08070"
_OWN = "the formula is the paper authors', and was not compared with that program's"
_GRADIENT = "gradient_estimation_cfg_pp was written from the two papers, and not compared with that program's"
_ANCESTRAL = "res_multistep_ancestral_cfg_pp is the reverse SDE's form of the formula here"
_RES = (("solver", "exact"), ("slope", "unguided"))
"""The refined exponential solver's weight, and its slope between unguided outputs."""
_NEEDS = frozenset({"uncond"})
_SCALE = 0.6
"""λ, as in the paper; a model's usual scale is far too large where the unguided noise is kept."""


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The schedulers of this distribution: first order, then second."""
    yield from _first_order()
    yield from _second_order()


def _first_order() -> Iterable[SchedulerSpec]:
    yield SchedulerSpec(
        name="ddim-cfgpp",
        aliases=("euler-cfgpp",),
        target="latentry_cfgpp.ddim:DDIMCFGpp",
        summary="CFG++: DDIM that keeps the unguided noise; guidance between 0 and 1",
        citation=f"{_PAPER}, algorithm 2",
        needs=_NEEDS,
        guidance=_SCALE,
        sigmas=_sigmas.DDIM,
        peers=(
            PeerName(name="DDIM CFG++", peer="AUTOMATIC1111"),
            PeerName(name="euler_cfg_pp", peer="ComfyUI"),
            PeerName(name="gradient_estimation_cfg_pp", peer="ComfyUI", options=(("gamma", 2.0),), differs=_GRADIENT),
        ),
        cases=(SchedulerCase(options=(("gamma", 2.0),), order=1),),
    )
    yield SchedulerSpec(
        name="euler-ancestral-cfgpp",
        target="latentry_cfgpp.euler_ancestral:EulerAncestralCFGpp",
        summary="CFG++: ancestral Euler that keeps the unguided noise; guidance between 0 and 1",
        citation=_PAPER,
        stochastic=True,
        needs=_NEEDS,
        guidance=_SCALE,
        sigmas=_sigmas.ANCESTRAL,
        peers=(PeerName(name="euler_ancestral_cfg_pp", peer="ComfyUI", others=("euler_a_cfg_pp",)),),
        cases=(
            SchedulerCase(options=(("eta", 0.5),), order=1, stochastic=True),
            SchedulerCase(options=(("eta", 0.0),), order=1),
        ),
    )


def _second_order() -> Iterable[SchedulerSpec]:
    yield SchedulerSpec(
        name="dpmpp-2m-cfgpp",
        target="latentry_cfgpp.dpmpp_2m:DPMpp2MCFGpp",
        summary="CFG++: second order, multistep; guidance between 0 and 1",
        citation=_PAPER,
        order=2,
        needs=_NEEDS,
        guidance=_SCALE,
        sigmas=_sigmas.TWO_M,
        peers=(
            PeerName(name="dpmpp_2m_cfg_pp", peer="ComfyUI", options=(("longest_step", float("inf")),), differs=_OWN),
            PeerName(name="res_multistep_cfg_pp", peer="ComfyUI", options=_RES, differs=_OWN),
            PeerName(
                name="res_multistep_ancestral_cfg_pp", peer="ComfyUI", options=(*_RES, ("eta", 1.0)), differs=_ANCESTRAL
            ),
        ),
        revision=2,
        guard_since=2,
        cases=(
            SchedulerCase(options=_RES, order=2),
            SchedulerCase(options=(("eta", 1.0),), order=2, stochastic=True),
            SchedulerCase(options=(*_RES, ("eta", 0.5)), order=2, stochastic=True),
        ),
    )
    yield SchedulerSpec(
        name="dpmpp-2s-ancestral-cfgpp",
        target="latentry_cfgpp.dpmpp_2s_ancestral:DPMpp2SAncestralCFGpp",
        summary="CFG++: weak order 2, two evaluations a step, with ancestral noise; guidance between 0 and 1",
        citation=_PAPER,
        order=2,
        evaluations=2,
        stochastic=True,
        off_grid=True,
        needs=_NEEDS,
        guidance=_SCALE,
        sigmas=_sigmas.TWO_S,
        peers=(PeerName(name="dpmpp_2s_ancestral_cfg_pp", peer="ComfyUI", differs=_OWN),),
        cases=(
            SchedulerCase(options=(("eta", 0.0),), order=2, evaluations=2),
            SchedulerCase(options=(("eta", 0.5),), order=2, evaluations=2, stochastic=True),
        ),
    )
