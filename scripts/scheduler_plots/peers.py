"""diffusers' own schedulers, each stepping by itself: by default, and under every option that suits a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from latentry import Point, Prediction, Process

Make = Callable[[], Any]
Answer = Callable[[Tensor, Point, Prediction], Tensor]
"""(x, its level, what the scheduler expects) → the network's output."""
SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
KIND = {"vp": Prediction.EPSILON, "flow": Prediction.FLOW, "edm": Prediction.EDM}
ORDERS = (2, 3)


def makes(kind: str, shift: float) -> Mapping[str, Sequence[Make]]:
    """What makes the schedulers of each curve: those under their defaults, and all that the best is chosen from.

    Args:
        kind: of the noise process.
        shift: the time shift of a flow model.
    """
    import diffusers as d

    unipc, dpm = d.UniPCMultistepScheduler, d.DPMSolverMultistepScheduler
    if kind == "edm":
        edm = partial(d.EDMDPMSolverMultistepScheduler, sigma_data=0.5)
        grids: list[dict[str, Any]] = [{"sigma_schedule": name} for name in ("karras", "exponential")]
        return {"diffusers: DPM++ 2M": [edm], "diffusers: best options": _all(edm, grids)}
    if kind == "flow":
        base: dict[str, Any] = {
            "prediction_type": "flow_prediction",
            "use_flow_sigmas": True,
            "flow_shift": shift,
        }
        # its other grids are levels of Stable Diffusion there
        of_unipc: list[dict[str, Any]] = [{}, {"use_karras_sigmas": True}]
        of_dpm: list[dict[str, Any]] = [{}]
    else:
        base = dict(SD15)
        named = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
        of_unipc = [{}, {"timestep_spacing": "trailing"}, *({name: True} for name in named)]
        of_dpm = [*of_unipc, {"use_lu_lambdas": True}]
    return {
        "diffusers: UniPC": [partial(unipc, **base)],
        "diffusers: DPM++ 2M": [partial(dpm, **base)],
        "diffusers: best options": [*_all(partial(unipc, **base), of_unipc), *_all(partial(dpm, **base), of_dpm)],
    }


def finish_peer(peer: Any, count: int, x: Tensor, process: Process, answer: Answer) -> Tensor:
    """Where a peer's scheduler takes x in so many steps; the network answers for the level that its own σ says.

    Args:
        peer: the scheduler.
        count: steps.
        x: at the process' noisiest level.
        process: of the network.
        answer: the network.
    """
    peer.set_timesteps(count)
    peer.set_begin_index(0)  # some grids round two levels to one timestep, by which it would look for its place
    if process.kind == "edm":
        x = x * (float(peer.init_noise_sigma) / process.noisiest.sigma)
    for i, timestep in enumerate(peer.timesteps):
        if process.kind == "edm":
            peer.scale_model_input(x, timestep)
        point = process.customary(float(peer.sigmas[i]))
        x = peer.step(answer(x, point, KIND[process.kind]), timestep, x).prev_sample.to(torch.float64)
    return x


def _all(make: Make, grids: Sequence[Mapping[str, Any]]) -> list[Make]:
    return [partial(make, solver_order=order, **grid) for order, grid in product(ORDERS, grids)]
