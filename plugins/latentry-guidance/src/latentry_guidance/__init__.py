"""The records of the guidance methods; the code, in a module each, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import GuidanceKind, GuidanceSpec, hookimpl, lazy_exports

if TYPE_CHECKING:
    from latentry_guidance.adaptive_projected import AdaptiveProjected
    from latentry_guidance.cfg_plus_plus import CFGPlusPlus
    from latentry_guidance.cfg_zero_star import CFGZeroStar
    from latentry_guidance.frequency_decoupled import FrequencyDecoupled
    from latentry_guidance.magnitude_aware import MagnitudeAware
    from latentry_guidance.scheduled import Scheduled
    from latentry_guidance.tangential import Tangential
    from latentry_guidance.true_cfg import TrueCFG
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "AdaptiveProjected": "adaptive_projected",
            "CFGPlusPlus": "cfg_plus_plus",
            "CFGZeroStar": "cfg_zero_star",
            "FrequencyDecoupled": "frequency_decoupled",
            "MagnitudeAware": "magnitude_aware",
            "Scheduled": "scheduled",
            "Tangential": "tangential",
            "TrueCFG": "true_cfg",
        },
    )

__all__ = [
    "AdaptiveProjected",
    "CFGPlusPlus",
    "CFGZeroStar",
    "FrequencyDecoupled",
    "MagnitudeAware",
    "Scheduled",
    "Tangential",
    "TrueCFG",
]

_DISTILLED = frozenset[GuidanceKind]({"distilled", "none"})


@hookimpl
def latentry_guidance() -> Iterable[GuidanceSpec]:
    """The methods of this distribution."""
    yield from _directions()
    yield from _scales()


def _directions() -> Iterable[GuidanceSpec]:
    """Methods that change where guidance points."""
    yield GuidanceSpec(
        name="apg",
        target="latentry_guidance.adaptive_projected:AdaptiveProjected",
        summary="without the part along the prediction, which saturates colours; with momentum",
        citation="Sadat et al. 2024, Adaptive Projected Guidance, arXiv:2410.02416",
        memory=True,
    )
    yield GuidanceSpec(
        name="cfg-zero-star",
        aliases=("cfg-zero",),
        target="latentry_guidance.cfg_zero_star:CFGZeroStar",
        summary="the output without the prompt scaled to fit the other, nothing at the first steps; for flow",
        citation="Fan et al. 2025, CFG-Zero*, arXiv:2503.18886",
    )
    yield GuidanceSpec(
        name="tcfg",
        target="latentry_guidance.tangential:Tangential",
        summary="the output without the prompt reduced to what it shares with the other",
        citation="Kwon et al. 2025, Tangential Damping Classifier-free Guidance, arXiv:2503.18137",
    )
    yield GuidanceSpec(
        name="fdg",
        aliases=("frequency-decoupled",),
        target="latentry_guidance.frequency_decoupled:FrequencyDecoupled",
        summary="low frequencies guided less than high ones",
        citation="Sadat et al. 2025, Guidance in the Frequency Domain, arXiv:2506.19713",
    )
    yield GuidanceSpec(
        name="true-cfg",
        target="latentry_guidance.true_cfg:TrueCFG",
        summary="plain guidance with a negative prompt for distilled networks, beside the scale that they take",
        citation="Ho and Salimans 2022, Classifier-Free Diffusion Guidance, arXiv:2207.12598",
        kinds=_DISTILLED,
        neutral=None,
    )


def _scales() -> Iterable[GuidanceSpec]:
    """Methods that change how strong guidance is."""
    yield GuidanceSpec(
        name="magnitude-aware",
        aliases=("mambo-g",),
        target="latentry_guidance.magnitude_aware:MagnitudeAware",
        summary="weaker where the outputs with and without the prompt are far apart",
        citation="Zhu et al. 2025, MAMBO-G, arXiv:2508.03442",
    )
    yield GuidanceSpec(
        name="cfg-plus-plus",
        aliases=("cfg++",),
        target="latentry_guidance.cfg_plus_plus:CFGPlusPlus",
        summary="as strong as makes a DDIM step renoise without the prompt; the scale is λ, from 0 to 1",
        citation="Chung et al. 2024, CFG++, arXiv:2406.08070",
        neutral=None,
        guidance=0.6,
        largest=1.0,
    )
    yield GuidanceSpec(
        name="scheduled",
        target="latentry_guidance.scheduled:Scheduled",
        summary="a scale that changes over the noise level: linear, cosine, or in an interval",
        citation="Wang et al. 2024, Analysis of Classifier-Free Guidance Weight Schedulers, arXiv:2404.13040",
    )
