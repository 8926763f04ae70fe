"""Latentry's sigma schedules on the levels of a ComfyUI model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentry import EDM, Flow, PluginHost, Process, VariancePreserving
from latentry_bridge_comfyui._sampling import is_flow


def levels(model_sampling: Any, name: str, steps: int, *, strength: float = 1.0, **options: Any) -> Tensor:
    """The levels of a run: float32 on the CPU, falling to 0.

    Args:
        model_sampling: the model's, with its table of ``sigmas``.
        name: a sigma schedule.
        steps: how many.
        strength: which part of the schedule's steps is kept, from its end.
        options: of the schedule; the time shift is the model's unless it is given.

    Raises:
        UnknownName, OptionError, IncompatibleError: the schedule cannot be laid out like that.
    """
    host, process = PluginHost(), process_of(model_sampling)
    if process.kind == "flow" and not host.sigma_schedules.load(name).absolute:
        options = {"shift": shift_of(model_sampling)} | options
    laid_out = max(steps, round(steps / strength))
    points = host.sigma_schedules.create(name, **options).points(laid_out, process)[-steps:]
    found = [point.sigma if process.kind == "flow" else point.s for point in points]
    return torch.tensor([*found, 0.0], dtype=torch.float32)


def process_of(model_sampling: Any) -> Process:
    """The noise process of a model: a flow, continuous levels, or the table of VP's timesteps."""
    import comfy.model_sampling as known

    if is_flow(model_sampling):
        return Flow()
    if isinstance(model_sampling, known.EDM):
        return EDM(float(model_sampling.sigma_min), float(model_sampling.sigma_max))
    sigmas = model_sampling.sigmas.double()
    return VariancePreserving(tuple((1.0 / (1.0 + sigmas**2)).tolist()))


def shift_of(model_sampling: Any) -> float:
    """The time shift: what σ/α is multiplied by, read from the middle of the model's table of levels."""
    sigmas = model_sampling.sigmas
    place = len(sigmas) // 2 - 1  # entry k of n has t = (k + 1)/n
    middle, even = float(sigmas[place]), (place + 1) / len(sigmas)
    return (middle / (1.0 - middle)) / (even / (1.0 - even))
