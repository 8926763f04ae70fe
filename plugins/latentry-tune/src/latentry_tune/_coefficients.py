"""A deterministic method of one evaluation a step as numbers, and what is changed about them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from latentry import IncompatibleError, Plan, Point, Prediction, Process, Scheduler

Array = NDArray[np.float64]
Method = Callable[[tuple[Point, ...]], "Coefficients"]
"""A scheduler as a function of its boundaries."""


@dataclass(frozen=True)
class Coefficients:
    """x_{i+1} = start_i·x_0 + Σ_{j ≤ i} weights_ij·x₀_j, with x₀_j the network's answer for x_j.

    Every multistep method is of this form, UniPC and its corrector included.

    Attributes:
        points: the N + 1 boundaries.
        start: (N,) factors of the first sample.
        weights: (N, N), lower triangular.
    """

    points: tuple[Point, ...]
    start: Array
    weights: Array

    def __len__(self) -> int:
        return len(self.points) - 1

    def changed(self, shares: Array) -> Coefficients:
        """The same with shares of earlier answers in place of the newest one; what is constant stays exact.

        Step i adds α_{i+1}·(1 − e^−h)·Σ_j shares_ij·(x₀_{i−1−j} − x₀_i) to its sample, and later steps carry that on.

        Args:
            shares: (N, depth), 0 where there is no such earlier answer.
        """
        weights, carried = self.weights.copy(), np.zeros(len(self))
        for i, (begin, end) in enumerate(zip(self.points, self.points[1:], strict=False)):
            carried *= end.sigma / begin.sigma
            size = end.alpha * -math.expm1(begin.lam - end.lam)
            for j, share in enumerate(shares[i][:i]):
                carried[i - 1 - j] += size * share
                carried[i] -= size * share
            weights[i] += carried
        return replace(self, weights=weights)


def method_of(scheduler: Scheduler, process: Process) -> Method:
    """A scheduler's coefficients on any boundaries: its generators are run on unit vectors.

    Args:
        scheduler: deterministic and linear, with one evaluation a step.
        process: whose levels the boundaries are.
    """

    def coefficients(points: tuple[Point, ...]) -> Coefficients:
        plan, count = Plan(scheduler, process, Prediction.X0, points), len(points) - 1
        unit = torch.eye(count + 1, dtype=torch.float64)
        run, rows = plan.start(unit[:1], table=False), list[torch.Tensor]()
        while (query := run.query) is not None:
            if query.stage or len(rows) != query.index:
                raise IncompatibleError(f"{type(scheduler).__name__} takes more than one evaluation a step.")
            run.advance(unit[1 + query.index][None])
            rows.append(run.sample[0])
        found = torch.stack(rows).numpy()
        return Coefficients(points, found[:, 0], found[:, 1:])

    return coefficients
