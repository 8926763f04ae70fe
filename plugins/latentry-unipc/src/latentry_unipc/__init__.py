"""The records of UniPC; their code is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports
from latentry_unipc._evidence import EVIDENCE
from latentry_unipc._sigmas import ADAPTIVE, SIGMAS

if TYPE_CHECKING:
    from latentry_unipc.adaptive import UniPCAdaptive
    from latentry_unipc.scheduler import UniPC
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"UniPC": "scheduler", "UniPCAdaptive": "adaptive"})

__all__ = ["UniPC", "UniPCAdaptive"]

_MULTISTEP = (("multistep", True), ("rounded", True))
"""Options of linspace, as diffusers has them on Stable Diffusion."""


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The schedulers of this distribution: on a grid, and with steps of its own choice."""
    yield SchedulerSpec(
        name="unipc",
        evidence=EVIDENCE,
        target="latentry_unipc.scheduler:UniPC",
        summary="third order with its corrector, one evaluation a step; good results in few steps",
        citation="Zhao et al. 2023, UniPC, arXiv:2302.04867",
        order=3,
        peers=(
            PeerName(
                name="UniPCMultistepScheduler",
                peer="diffusers",
                sigmas=SigmaPreference("latentry:linspace", options=_MULTISTEP, processes=frozenset({"vp"})),
            ),
            PeerName(
                name="UniPC",
                peer="AUTOMATIC1111",
                options=(("order", 3), ("variant", "bh1")),
                sigmas=SigmaPreference("latentry:sgm-uniform", final="table"),
            ),
            PeerName(
                name="uni_pc",
                peer="ComfyUI",
                others=("uni_pc_bh1",),
                options=(("order", 3), ("variant", "bh1")),
                differs="it leaves out the last level but one, and is not for flow models",
            ),
            PeerName(
                name="uni_pc_bh2",
                peer="ComfyUI",
                options=(("order", 3),),
                differs="it leaves out the last level but one, and is not for flow models",
            ),
        ),
        sigmas=SIGMAS,
        revision=4,
        guard_since=4,
        cases=tuple(SchedulerCase(options=options, order=order) for options, order in _CASES),
    )
    yield SchedulerSpec(
        name="unipc-adaptive",
        target="latentry_unipc.adaptive:UniPCAdaptive",
        summary="third order with its corrector; chooses its own steps by a tolerance or within a budget",
        citation="Zhao et al. 2023, UniPC, arXiv:2302.04867",
        order=3,
        evaluations=0,
        off_grid=True,
        adaptive=True,
        sigmas=ADAPTIVE,
    )


_CASES: tuple[tuple[tuple[tuple[str, float | int | str | bool], ...], int], ...] = (
    ((("order", 1),), 2),
    ((("order", 3),), 4),
    ((("variant", "bh1"),), 3),
    ((("variant", "exact"),), 3),
    ((("form", "eps"),), 3),
    ((("corrector", 0.0), ("order", 3)), 3),
    ((("corrector", 0.5),), 2),
)
"""Options, and the order under them."""
