"""A request's network as tuning asks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from latentry import GuidedNetwork, Point
from latentry_tune._following import Denoise


def denoiser(network: GuidedNetwork, batch: int, counted: Callable[[int], None]) -> Denoise:
    """x₀ that a request's network predicts, guided, for its pictures.

    Args:
        network: of the request.
        batch: most pictures that are evaluated together.
        counted: called with the number of pictures after each evaluation.
    """
    plan = network.setup.plan

    def denoise(x: Tensor, point: Point, rows: Sequence[int]) -> Tensor:
        step, found = replace(plan, points=(point, plan.process.clean())), []
        for first in range(0, len(x), batch):
            run = step.start(x[first : first + batch], table=False)
            assert run.query is not None
            found.append(run.denoise(network(run.query, rows[first : first + batch])).x0)
            counted(len(found[-1]))
        return torch.cat(found)

    return denoise
