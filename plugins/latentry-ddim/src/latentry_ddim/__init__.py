"""The record of DDIM; the code, in ``scheduler.py``, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import PeerName, SchedulerCase, SchedulerSpec, SigmaPreference, hookimpl, lazy_exports, sigma_preferences
from latentry_ddim._evidence import EVIDENCE

if TYPE_CHECKING:
    from latentry_ddim.scheduler import DDIM
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"DDIM": "scheduler"})

__all__ = ["DDIM"]

_OWN = SigmaPreference("latentry:leading", options=(("offset", 1),), final="table")
"""Stable Diffusion's."""
_FEW = sigma_preferences(
    ("vp", 4, "latentry:trailing", {}),
    ("vp", 7, "latentry:karras", {"span": "leading", "rho": 2.0, "sigma_min": 0.25}),
    final="table",
)
"""Stable Diffusion's begins too low in few steps, the lower the fewer: of three at timestep 667. Up to four `trailing`
is the nearest to the exact result; from five on its error is over that of diffusers' grid from the level where that
begins (``tests/parity/test_defaults_diffusers.py``), and Karras's levels from there to s = 0.25 lose to neither.
"""
_EDM = SigmaPreference("latentry:karras", processes=frozenset({"edm"}))


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """The scheduler of this distribution."""
    yield SchedulerSpec(
        name="ddim",
        evidence=EVIDENCE,
        target="latentry_ddim.scheduler:DDIM",
        summary="first order, deterministic; η adds noise back, up to DDPM",
        citation="Song et al. 2020, Denoising Diffusion Implicit Models, arXiv:2010.02502",
        peers=(
            PeerName(name="DDIMScheduler", peer="diffusers", sigmas=_OWN),
            PeerName(
                name="DDIMParallelScheduler",
                peer="diffusers",
                sigmas=_OWN,
                differs="its parallel sampling of the whole path (ParaDiGMS) is not available",
            ),
            PeerName(
                name="CogVideoXDDIMScheduler",
                peer="diffusers",
                sigmas=SigmaPreference("latentry:trailing"),
                differs="where N does not divide T it steps to t − ⌊T/N⌋, and not to the next of its own list",
            ),
            PeerName(
                name="DDIM",
                peer="AUTOMATIC1111",
                sigmas=_OWN,
                differs="where N does not divide 1000 it makes more steps than it was asked for",
            ),
        ),
        sigmas=(*_FEW, _OWN, _EDM, SigmaPreference("latentry:trailing")),
        cases=(
            SchedulerCase(options=(("eta", 0.5),), order=1, stochastic=True),
            SchedulerCase(options=(("eta", 1.0),), order=1, stochastic=True),
        ),
    )
