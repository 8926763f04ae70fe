"""diffusers' schedulers and ours, run side by side on an exact network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from latentry import EDM, Flow, Plan, Point, Process, VariancePreserving
from support.oracles import Gaussian, emitted, finish, noise

SD15: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
DATA = Gaussian(mean=0.3, std=0.6)
SHAPE = (2, 3, 4, 4)
Patch = Callable[[str, list[Tensor]], None]
"""Gives a module its noise from a list, in order."""
Predict = Callable[[Tensor, Point], tuple[Tensor, Tensor]]


def table(peer: Any) -> VariancePreserving:
    """The peer's table, rounded to float32 as it is."""
    return VariancePreserving(tuple(peer.alphas_cumprod.double().tolist()))


def process_of(peer: Any) -> Process:
    """The noise process a peer stands on."""
    if hasattr(peer, "alphas_cumprod"):
        return table(peer)
    return EDM() if "sigma_data" in peer.config else Flow()


def draws(count: int) -> list[Tensor]:
    """Noise, one for each interval."""
    return [noise(*SHAPE, seed=100 + i) for i in range(count)]


def start(plan: Plan) -> Tensor:
    """Something to begin from, of the spread the first level has."""
    return DATA.variance(plan.points[0]) ** 0.5 * noise(*SHAPE, seed=7)


def ours(plan: Plan, x: Tensor, drawn: list[Tensor]) -> Tensor:
    """The plan's result; interval i gets the i-th draw."""
    run = plan.start(x, noise=lambda like, interval, draw, clock: drawn[interval])
    return finish(run, DATA.network(plan.prediction))


def truth(x: Tensor, point: Point) -> tuple[Tensor, Tensor]:
    """x̂₀ and ε̂ of ``DATA``."""
    return DATA.x0(x, point), DATA.eps(x, point)


def theirs(
    peer: Any, plan: Plan, x: Tensor, *, native: bool = False, predict: Predict = truth, **options: Any
) -> Tensor:
    """The peer's result; its k-th evaluation is answered for the level of ours.

    Args:
        peer: timesteps set.
        plan: ours.
        x: in the process's own scale.
        native: the peer keeps its sample in that scale too, and not as x/α.
        predict: x̂₀ and ε̂ of a sample at a level.
        options: of its ``step``.
    """
    sample = x if native else x / plan.points[0].alpha
    queries = plan.queries or ()
    assert len(queries) == len(peer.timesteps)
    for query, timestep in zip(queries, peer.timesteps, strict=True):
        shown = peer.scale_model_input(sample, timestep) if hasattr(peer, "scale_model_input") else sample
        if plan.process.kind == "edm":
            shown = sample  # what the network is shown is scaled by c_in, which the oracle does not want
        output = emitted(plan.prediction, query.point, *predict(shown, query.point))
        sample = peer.step(output, timestep, sample, **options).prev_sample
    return sample if native else sample * plan.points[-1].alpha


def whole(values: Tensor) -> bool:
    """Whether they are whole numbers."""
    return bool(torch.equal(values, values.round()))
