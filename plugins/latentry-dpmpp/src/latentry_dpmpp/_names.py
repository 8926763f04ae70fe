"""Other programs' names for these schedulers, with the options and sigma schedules that give the same results."""

from __future__ import annotations

import math

from latentry import PeerName, SigmaPreference

_LINSPACE = SigmaPreference("latentry:linspace", processes=frozenset({"vp"}))
_ROUNDED = SigmaPreference(
    "latentry:linspace", options=(("multistep", True), ("rounded", True)), processes=frozenset({"vp"})
)
"""diffusers' grid on Stable Diffusion: its DPM-Solver++ leaves the cleanest timestep out."""
_EDM_KARRAS = SigmaPreference("latentry:karras", processes=frozenset({"edm"}))
_KARRAS, _EXPONENTIAL = SigmaPreference("latentry:karras"), SigmaPreference("latentry:exponential")
_UNCAPPED = (("longest_step", math.inf),)
_UNFITTED = (("fitted", False),)
_HEUN = (("solver", "exact"), *_UNCAPPED)
_THREE = (*_UNCAPPED, ("lower_order_final", False), ("steady", False))
_HALF = "its second difference counts half (variant=halved)"
_CLOCK = "its slope counts half (solver=midpoint), and its noise within a step is a path in σ, not in the SDE's time"

TWO_M = (
    PeerName(name="DPMSolverMultistepScheduler", peer="diffusers", sigmas=_ROUNDED),
    PeerName(name="EDMDPMSolverMultistepScheduler", peer="diffusers", sigmas=_EDM_KARRAS),
    PeerName(name="DPM++ 2M", peer="AUTOMATIC1111", others=("k_dpmpp_2m",), sigmas=_KARRAS),
    PeerName(name="dpmpp_2m", peer="ComfyUI", differs="on flow models it extrapolates in −log t, here in log((1−t)/t)"),
    PeerName(name="sample_dpmpp_2m", peer="k-diffusion"),
)
TWO_M_SDE = (
    PeerName(
        name="CosineDPMSolverMultistepScheduler",
        peer="diffusers",
        options=_UNCAPPED,
        sigmas=SigmaPreference("latentry:exponential", processes=frozenset({"edm"})),
    ),
    PeerName(
        name="CogVideoXDPMScheduler",
        peer="diffusers",
        options=_UNCAPPED,
        sigmas=SigmaPreference("latentry:trailing", processes=frozenset({"vp"})),
        differs="where N does not divide T it steps to t − ⌊T/N⌋, and not to the next of its own list",
    ),
    PeerName(
        name="DPM++ 2M SDE",
        peer="AUTOMATIC1111",
        others=("k_dpmpp_2m_sde",),
        options=_UNCAPPED,
        sigmas=_EXPONENTIAL,
    ),
    PeerName(
        name="DPM++ 2M SDE Heun",
        peer="AUTOMATIC1111",
        others=("k_dpmpp_2m_sde_heun",),
        options=_HEUN,
        sigmas=_EXPONENTIAL,
    ),
    PeerName(name="dpmpp_2m_sde", peer="ComfyUI", others=("dpmpp_2m_sde_gpu",), options=_UNCAPPED),
    PeerName(name="dpmpp_2m_sde_heun", peer="ComfyUI", others=("dpmpp_2m_sde_heun_gpu",), options=_HEUN),
    PeerName(
        name="res_multistep_ancestral",
        peer="ComfyUI",
        options=_HEUN,
        differs="res_multistep_ancestral there extrapolates to σ_down, which is the ODE's step; here it is the SDE's",
    ),
    PeerName(name="sample_dpmpp_2m_sde", peer="k-diffusion", options=_UNCAPPED),
)
THREE_M_SDE = (
    PeerName(
        name="DPM++ 3M SDE",
        peer="AUTOMATIC1111",
        others=("k_dpmpp_3m_sde",),
        options=_THREE,
        sigmas=_EXPONENTIAL,
        differs=f"{_HALF}, and it lays out N + 1 levels and leaves out the last but one",
    ),
    PeerName(name="dpmpp_3m_sde", peer="ComfyUI", others=("dpmpp_3m_sde_gpu",), options=_THREE, differs=_HALF),
    PeerName(name="sample_dpmpp_3m_sde", peer="k-diffusion", options=_THREE, differs=_HALF),
)
SDE = (
    PeerName(name="DPMSolverSDEScheduler", peer="diffusers", options=_UNFITTED, sigmas=_LINSPACE, differs=_CLOCK),
    PeerName(
        name="DPM++ SDE",
        peer="AUTOMATIC1111",
        others=("k_dpmpp_sde",),
        options=_UNFITTED,
        sigmas=_KARRAS,
        differs=_CLOCK,
    ),
    PeerName(name="dpmpp_sde", peer="ComfyUI", others=("dpmpp_sde_gpu",), options=_UNFITTED, differs=_CLOCK),
    PeerName(name="sample_dpmpp_sde", peer="k-diffusion", options=_UNFITTED, differs=_CLOCK),
)
TWO_S = (
    PeerName(
        name="DPMSolverSinglestepScheduler",
        peer="diffusers",
        options=(*_UNFITTED, ("eta", 0.0)),
        differs="its N steps are N evaluations, two of them a step here, and the first lies on a boundary of its grid",
    ),
    PeerName(name="DPM++ 2S a", peer="AUTOMATIC1111", others=("k_dpmpp_2s_a",), options=_UNFITTED, sigmas=_KARRAS),
    PeerName(
        name="dpmpp_2s_ancestral",
        peer="ComfyUI",
        options=_UNFITTED,
        differs="on flow models its η counts in t (eta_rule=flow)",
    ),
    PeerName(name="sample_dpmpp_2s_ancestral", peer="k-diffusion", options=_UNFITTED),
)
