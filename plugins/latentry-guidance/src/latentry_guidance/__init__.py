"""The records of the guidance methods; the code, in a module each, is imported on first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import BranchKind, GuidanceKind, GuidanceSpec, hookimpl, lazy_exports

if TYPE_CHECKING:
    from latentry_guidance.adaptive_projected import AdaptiveProjected
    from latentry_guidance.autoguidance import Autoguidance
    from latentry_guidance.cfg_plus_plus import CFGPlusPlus
    from latentry_guidance.cfg_zero_star import CFGZeroStar
    from latentry_guidance.frequency_decoupled import FrequencyDecoupled
    from latentry_guidance.magnitude_aware import MagnitudeAware
    from latentry_guidance.perturbed_attention import PerturbedAttention
    from latentry_guidance.scheduled import Scheduled
    from latentry_guidance.smoothed_energy import SmoothedEnergy
    from latentry_guidance.tangential import Tangential
    from latentry_guidance.true_cfg import TrueCFG
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "AdaptiveProjected": "adaptive_projected",
            "Autoguidance": "autoguidance",
            "CFGPlusPlus": "cfg_plus_plus",
            "CFGZeroStar": "cfg_zero_star",
            "FrequencyDecoupled": "frequency_decoupled",
            "MagnitudeAware": "magnitude_aware",
            "PerturbedAttention": "perturbed_attention",
            "Scheduled": "scheduled",
            "SmoothedEnergy": "smoothed_energy",
            "Tangential": "tangential",
            "TrueCFG": "true_cfg",
        },
    )

__all__ = [
    "AdaptiveProjected",
    "Autoguidance",
    "CFGPlusPlus",
    "CFGZeroStar",
    "FrequencyDecoupled",
    "MagnitudeAware",
    "PerturbedAttention",
    "Scheduled",
    "SmoothedEnergy",
    "Tangential",
    "TrueCFG",
]

_DISTILLED = frozenset[GuidanceKind]({"distilled", "none"})
_ANY = frozenset[GuidanceKind]({"classifier-free", "distilled", "none"})
_UNCOND = frozenset[BranchKind]({"uncond"})


@hookimpl
def latentry_guidance() -> Iterable[GuidanceSpec]:
    """The methods of this distribution."""
    yield from _directions()
    yield from _scales()
    yield from _beside()


def _directions() -> Iterable[GuidanceSpec]:
    """Methods that change where guidance points."""
    yield GuidanceSpec(
        name="apg",
        target="latentry_guidance.adaptive_projected:AdaptiveProjected",
        summary="leaves out the part along the prediction, which saturates colours; with momentum",
        citation="Sadat et al. 2024, Adaptive Projected Guidance, arXiv:2410.02416",
        memory=True,
    )
    yield GuidanceSpec(
        name="cfg-zero-star",
        aliases=("cfg-zero",),
        target="latentry_guidance.cfg_zero_star:CFGZeroStar",
        summary="scales the output without the prompt to fit the other, and zeroes the first steps; for flow",
        citation="Fan et al. 2025, CFG-Zero*, arXiv:2503.18886",
        branches=frozenset(),
        scaled_branches=_UNCOND,
        neutral=None,  # the first steps are idle at any scale
    )
    yield GuidanceSpec(
        name="tcfg",
        target="latentry_guidance.tangential:Tangential",
        summary="reduces the output without the prompt to what it shares with the other",
        citation="Kwon et al. 2025, Tangential Damping Classifier-free Guidance, arXiv:2503.18137",
    )
    yield GuidanceSpec(
        name="fdg",
        aliases=("frequency-decoupled",),
        target="latentry_guidance.frequency_decoupled:FrequencyDecoupled",
        summary="guides low frequencies less than high ones",
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
        summary="weakens guidance where the outputs with and without the prompt are far apart",
        citation="Zhu et al. 2025, MAMBO-G, arXiv:2508.03442",
    )
    yield GuidanceSpec(
        name="cfg-plus-plus",
        aliases=("cfg++",),
        target="latentry_guidance.cfg_plus_plus:CFGPlusPlus",
        summary="DDIM steps with the guided x₀ and the unguided noise; the scale is λ, from 0 to 1",
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


def _beside() -> Iterable[GuidanceSpec]:
    """Methods that guide away from a weakened network, with or without the prompt's own guidance."""
    yield GuidanceSpec(
        name="autoguidance",
        target="latentry_guidance.autoguidance:Autoguidance",
        summary="guides away from a second, weaker model (guidance_model) in place of the output without the prompt",
        citation="Karras et al. 2024, Guiding a Diffusion Model with a Bad Version of Itself, arXiv:2406.02507",
        branches=frozenset({"weak-model"}),
    )
    yield GuidanceSpec(
        name="pag",
        aliases=("perturbed-attention",),
        target="latentry_guidance.perturbed_attention:PerturbedAttention",
        summary="guides away from the output with identity attention in some blocks, beside plain guidance",
        citation="Ahn et al. 2024, Perturbed-Attention Guidance, arXiv:2403.17377",
        branches=frozenset({"perturbed-attention"}),
        scaled_branches=_UNCOND,
        kinds=_ANY,
        neutral=None,
    )
    yield GuidanceSpec(
        name="seg",
        aliases=("smoothed-energy",),
        target="latentry_guidance.smoothed_energy:SmoothedEnergy",
        summary="guides away from the output with blurred attention in some blocks, beside plain guidance",
        citation="Hong 2024, Smoothed Energy Guidance, arXiv:2408.00760",
        branches=frozenset({"smoothed-attention"}),
        scaled_branches=_UNCOND,
        kinds=_ANY,
        neutral=None,
    )
