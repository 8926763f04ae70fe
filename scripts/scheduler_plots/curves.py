"""Errors by evaluations: of our schedulers under their defaults, and of diffusers'."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from peers import Make, finish_peer, makes
from torch import Tensor

from latentry import Engine, GenerationRequest, LatentryError, PluginHost, Point, Prediction
from latentry.testing._measuring._cells import Drawn, Setting, geometric, most_steps
from latentry.testing._networks._drawn import DrawnTargets
from latentry.testing._networks._processes import process
from latentry.testing.report import HELD_OUT, TARGETS
from latentry_tune._coefficients import method_of
from latentry_tune._following import Denoise, distances, finish, follow
from latentry_tune._network import denoiser
from latentry_tune._reference import reference_points
from latentry_unipc import UniPC

EVALUATIONS = (4, 5, 6, 8, 10, 12, 15, 20, 30, 40)
ON_NETWORKS = (5, 6, 8, 10, 12, 15, 20, 30)
OURS = ("ddim", "unipc", "dpmpp-2m", "ipndm", "heun")
PEERS = ("diffusers: UniPC", "diffusers: DPM++ 2M", "diffusers: best options")
"""The last is, at each number of evaluations, the best of all that `peers.makes` lists."""
NETWORKS = {
    "shapes (Stable Diffusion), guidance 1.5": ("shapes", 1.5),
    "shapes-sdxl, guidance 1.5": ("shapes-sdxl", 1.5),
    "shapes-sd3, guidance 2": ("shapes-sd3", 2.0),
    "shapes-flux, guidance 3": ("shapes-flux", 3.0),
}
"""Models at their own guidance."""
PROMPTS = (
    "a red circle on a white background",
    "a yellow triangle on a black background",
    "a red circle left of a blue square on a white background",
    "a pink diamond below a green cross on a black background",
)
REFERENCE = 40
"""Steps of UniPC of order 3, even in λ and without a guard, which stand for the exact result."""
Curves = Mapping[str, Mapping[int, float]]


def on_targets(host: PluginHost, place: Setting, scales: Sequence[float]) -> Curves:
    """The geometric mean of the error on targets that the grids were not fitted to.

    Args:
        host: finds the schedulers.
        place: process and shift; its evaluations do not count.
        scales: guidance that the targets have in turn.
    """
    drawn = Drawn(host, HELD_OUT, TARGETS, guidance=scales)

    def ours(name: str, count: int) -> float:
        return geometric(drawn.errors(name, place._replace(evaluations=count)))

    def theirs(make: Make, count: int) -> float:
        return geometric(torch.cat([_miss(group, place, make, count) for group in drawn.groups]))

    return _curves(ours, theirs, makes(place.kind, place.shift), EVALUATIONS)


def on_network(engine: Engine, model: str, guidance: float) -> Curves:
    """The median distance from the exact latents of a shipped model, over two noises for each prompt."""
    request = GenerationRequest(prompt=PROMPTS * 2, model=model, guidance=guidance, seed=1, batch=8)
    setup, rows = engine.prepare(request), range(len(PROMPTS) * 2)
    on, shift = setup.plan.process, setup.checkpoint.shift(setup.request.width or 0, setup.request.height or 0)
    with engine.network(setup) as network:
        denoise = denoiser(network, 8, lambda count: None)
        x = network.noise(rows) * max(1.0, on.noisiest.sigma)
        points = reference_points(on, REFERENCE, shift)
        exact = follow(denoise, method_of(UniPC(order=3, guard=False), on)(points), x, rows).end

        def ours(name: str, count: int) -> float:
            asked = most_steps(
                lambda n: engine.prepare(request.model_copy(update={"scheduler": name, "steps": n})).plan, count
            )
            end = finish(denoise, replace(asked, prediction=Prediction.X0), x, rows)
            return statistics.median(distances(end, exact).tolist())

        def theirs(make: Make, count: int) -> float:
            end = finish_peer(make(), count, x.double(), on, _answers(denoise, rows, on.kind))
            return statistics.median(distances(end, exact).tolist())

        return _curves(ours, theirs, makes(on.kind, shift or 1.0), ON_NETWORKS)


def _curves(
    ours: Callable[[str, int], float],
    theirs: Callable[[Make, int], float],
    peers: Mapping[str, Sequence[Make]],
    counts: Sequence[int],
) -> Curves:
    found = {name: {count: ours(name, count) for count in counts} for name in OURS}
    for label, several in peers.items():
        found[label] = {count: least(theirs, several, count) for count in counts}
    return found


def least(error: Callable[[Make, int], float], makes: Sequence[Make], count: int) -> float:
    """The lowest error that several come to; NaN if none ends at a number."""
    errors = [error(make, count) for make in makes]
    return min((each for each in errors if math.isfinite(each)), default=math.nan)


def _miss(targets: DrawnTargets, place: Setting, make: Make, count: int) -> Tensor:
    """(targets,): parts of the signal's size."""
    on = process(place.kind)
    x = targets.starts.flatten(0, 1) * max(1.0, on.noisiest.sigma)
    exact = targets.end(on)
    off = finish_peer(make(), count, x, on, targets.output) - exact
    size, miss = (each.reshape(len(targets.starts), -1).square().mean(-1).sqrt() for each in (exact, off))
    return miss / size


def _answers(denoise: Denoise, rows: Sequence[int], kind: str) -> Callable[[Tensor, Point, Prediction], Tensor]:
    """A network's output as the peer wants it, from the x₀ that it comes to."""

    def answer(x: Tensor, point: Point, prediction: Prediction) -> Tensor:
        x0 = denoise(x.float(), point, rows).double()
        eps = (x - point.alpha * x0) / point.sigma
        if prediction is Prediction.EPSILON:
            return eps
        if prediction is Prediction.FLOW:
            return eps - x0
        raise LatentryError(f"{kind} has no network here.")

    return answer
