"""diffusers' schedulers under their own defaults, asked at the levels they list, on exact networks."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import Flow, Point, Prediction, Process
from latentry.testing import GaussianOracle, Oracle
from latentry.testing._networks._moments import UnitDraws
from support.peer_runs import process_of

FLOW: dict[str, Any] = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}


def stands_on(peer: Any) -> Process:
    """The noise process of a peer as it is configured."""
    return Flow() if peer.config.get("use_flow_sigmas") else process_of(peer)


def spend(peer: Any, evaluations: int) -> None:
    """Sets the most timesteps that take no more evaluations; its levels are made float64."""
    for steps in range(evaluations, 0, -1):
        peer.set_timesteps(steps)
        if len(peer.timesteps) <= evaluations:
            break
    for name in ("sigmas", "sigmas_interpol"):
        if hasattr(peer, name):
            setattr(peer, name, getattr(peer, name).double())
    if hasattr(peer, "set_begin_index") and hasattr(peer, "sigmas"):
        peer.set_begin_index(0)


def level(peer: Any, timestep: Any, process: Process) -> Point:
    """The level its next evaluation is for: by the scale of its input, by index, or by timestep."""
    scale = float(peer.scale_model_input(torch.ones(1, dtype=torch.float64), timestep)) if _scales(peer) else 1.0
    if scale != 1.0:
        return process.at(s=(scale**-2 - 1.0) ** 0.5)
    if hasattr(peer, "alphas_cumprod") and hasattr(peer, "sigmas"):
        return process.customary(float(peer.sigmas[peer.step_index or 0]))
    return process.at(timestep=float(timestep))


def _scales(peer: Any) -> bool:
    return hasattr(peer, "scale_model_input")


def run(peer: Any, z: Tensor, oracle: Oracle) -> tuple[Tensor, Tensor, Point]:
    """Its result for standard normal noise; what it began with, in the process's own scale, and the level of that."""
    process = stands_on(peer)
    prediction = Prediction.FLOW if process.kind == "flow" else Prediction.EPSILON
    sample = z * float(getattr(peer, "init_noise_sigma", 1.0))
    first, start = None, z
    for timestep in peer.timesteps:
        point = level(peer, timestep, process)
        shown = peer.scale_model_input(sample, timestep) if _scales(peer) else sample
        if first is None:
            first, start = point, shown
        sample = peer.step(oracle.output(shown, point, prediction), timestep, sample).prev_sample
    assert first is not None
    return sample, start, first


def variance(peer: Any, data: Tensor, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The exact variance of its result on Gaussian data, begun from x as the process has it there: by unit vectors."""
    source = UnitDraws(1)
    z = torch.zeros(1, len(data), 2 + 2 * len(peer.timesteps), dtype=torch.float64)
    z[..., 0] = 1.0

    def drawn(*_: Any, **__: Any) -> Tensor:
        return source(z, 0, 0, None)

    if hasattr(peer, "noise_sampler"):
        peer.noise_sampler = _path_of(drawn)
    else:
        monkeypatch.setattr(importlib.import_module(type(peer).__module__), "randn_tensor", drawn)
    result, start, first = run(peer, z, GaussianOracle(0.0, data[:, None]))
    begun = (first.alpha**2 * data + first.sigma**2) / start[0, 0, 0] ** 2
    return result[0, :, 0].square() * begun + result[0, :, 1:].square().sum(1)


def _path_of(drawn: Callable[[], Tensor]) -> Callable[[Any, Any], Tensor]:
    """Increments of a path in σ, normalised: of half a step, then of the whole."""
    half: list[tuple[float, Tensor]] = []

    def sampler(begin: Any, end: Any) -> Tensor:
        length, z = abs(float(end) - float(begin)), drawn()
        if not half:
            half.append((length, z))
            return z
        part, early = half.pop()
        return (part / length) ** 0.5 * early + (1.0 - part / length) ** 0.5 * z

    return sampler
