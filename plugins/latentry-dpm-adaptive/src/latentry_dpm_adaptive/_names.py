"""Other programs' names for these schedulers, with the options and sigma schedules that are theirs."""

from __future__ import annotations

import math

from latentry import PeerName, SigmaPreference

_THEIRS = (("longest_step", math.inf),)
_EVEN = SigmaPreference("latentry:exponential", final="table")
_FAST = "all its single steps are equally long in λ, even the last one, which has fewer evaluations"
_NOISE = "it adds ancestral noise unless its η is set to 0"
_STEPS = "it takes no number of steps (1 here) and ends at the cleanest level, where here x₀ is taken"

FAST = (
    PeerName(
        name="DPM fast",
        peer="AUTOMATIC1111",
        others=("k_dpm_fast",),
        options=_THEIRS,
        sigmas=_EVEN,
        differs=f"{_NOISE}; {_FAST}",
    ),
    PeerName(name="dpm_fast", peer="ComfyUI", options=_THEIRS, sigmas=_EVEN, differs=_FAST),
    PeerName(name="sample_dpm_fast", peer="k-diffusion", options=_THEIRS, sigmas=_EVEN, differs=_FAST),
)
ADAPTIVE = (
    PeerName(name="DPM adaptive", peer="AUTOMATIC1111", others=("k_dpm_ad",), differs=f"{_NOISE}; {_STEPS}"),
    PeerName(name="dpm_adaptive", peer="ComfyUI", differs=_STEPS),
    PeerName(name="sample_dpm_adaptive", peer="k-diffusion", differs=_STEPS),
)
