"""Mean and variance of what a plan makes of Gaussian data, exactly: no random number is drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from latentry._numerics._noise import Clock
from latentry._numerics._plan import Plan
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import GaussianOracle


def moments(plan: Plan, data: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of a run's result, begun from x as the process has it there; data of mean 1.

    Args:
        plan: as for ``response``.
        data: (variances,) of Gaussian data, float64.
    """
    start = plan.points[0]
    mean, gains = response(plan, data)
    begun = start.alpha**2 * data + start.sigma**2
    return mean, gains[:, 0].square() * begun + gains[:, 1:].square().sum(1)


def response(plan: Plan, data: Tensor) -> tuple[Tensor, Tensor]:
    """What a run makes of its start and of each of its draws.

    Args:
        plan: any plan without hooks.
        data: (variances,) of Gaussian data, float64.

    Returns:
        (variances,): the result for data of mean 1 begun at its mean, without noise; and (variances, 1 + draws): how
        much the result moves with the start, and with each draw.
    """
    draws = count_draws(plan)
    columns = 2 + draws  # the mean, the start, every draw
    mean, x = torch.zeros(1, len(data), columns), torch.zeros(1, len(data), columns)
    mean[..., 0], x[..., 0], x[..., 1] = 1.0, plan.points[0].alpha, 1.0
    oracle = GaussianOracle(mean.double(), data[:, None])
    x = x.double()
    x[..., 0] = plan.points[0].alpha  # in float64
    end = drive(plan, x, oracle.answer, noise=UnitDraws(2))[0]
    return end[:, 0], end[:, 1:]


def count_draws(plan: Plan) -> int:
    """How many draws a run makes."""
    source = UnitDraws(0)
    drive(plan, torch.zeros(1, 1, dtype=torch.float64), GaussianOracle().answer, noise=source)
    return source.made


class UnitDraws:
    """Noise whose j-th draw is 1 in its own column of the sample's last dimension, and 0 elsewhere.

    Args:
        first: the column of the first draw.
    """

    def __init__(self, first: int) -> None:
        self._first, self.made = first, 0

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        """See ``NoiseSource``."""
        unit = torch.zeros_like(like)
        column = self._first + self.made
        if column < like.shape[-1]:
            unit[..., column] = 1.0
        self.made += 1
        return unit
