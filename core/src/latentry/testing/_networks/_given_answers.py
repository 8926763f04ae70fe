"""Networks that answer with given functions of λ, so that only a method's weights matter."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentry._numerics._processes._point import Point
from latentry.testing._networks._oracles import Oracle

HIGH, LOW = 2.0, 0.5
"""σ/α at the ends of the stretch."""
COLUMNS = 3
"""How many answers are given at once."""
Array = NDArray[np.float64]


def answers(lam: Array | float) -> Array:
    """Three polynomials in λ that vanish to the sixth order at both ends of the stretch; (…, 3)."""
    u = (np.asarray(lam) + math.log(HIGH)) / math.log(HIGH / LOW)
    bump = (4 * u * (1 - u)) ** 6
    return np.stack((bump, bump * (2 * u - 1), bump * (3 * u * u - 1)), -1)


class Given(Oracle):
    """A network whose answer does not depend on its input.

    Attributes:
        quantity: what is given.
    """

    quantity: str

    @abstractmethod
    def unit(self, point: Point) -> float:
        """What a defect in x is multiplied by along the path."""

    @abstractmethod
    def moved(self, lam: Array) -> Array:
        """What x in that unit moves by, for an answer of 1, with λ."""

    def along(self, x: Tensor, points: Sequence[Point]) -> Tensor:
        """x of the first level, in its unit, at every level: (levels, columns); by Gauss's rule on each interval."""
        lams = np.array([point.lam for point in points])
        places, shares = np.polynomial.legendre.leggauss(8)
        half = np.diff(lams)[:, None] / 2
        inside = lams[:-1, None] + half * (1 + places)
        steps = ((half * shares * self.moved(inside))[..., None] * answers(inside)).sum(1)
        path = np.concatenate((np.zeros((1, COLUMNS)), np.cumsum(steps, 0)))
        return x / self.unit(points[0]) + torch.from_numpy(path)


class GivenX0(Given):
    """A network that sees the same x₀ whatever it is shown: x/σ moves by ∫ x₀·e^λ dλ."""

    quantity = "x₀"

    def predict(self, x: Tensor, point: Point) -> tuple[Tensor, Tensor]:
        """See ``Oracle``."""
        x0 = torch.from_numpy(answers(point.lam)).to(x).expand_as(x)
        return x0, (x - point.alpha * x0) / point.sigma

    def unit(self, point: Point) -> float:
        """See ``Given``."""
        return point.sigma

    def moved(self, lam: Array) -> Array:
        """See ``Given``."""
        return np.exp(lam)


class GivenEps(Given):
    """A network that sees the same noise whatever it is shown: x/α moves by −∫ ε·e^(−λ) dλ."""

    quantity = "ε"

    def predict(self, x: Tensor, point: Point) -> tuple[Tensor, Tensor]:
        """See ``Oracle``."""
        eps = torch.from_numpy(answers(point.lam)).to(x).expand_as(x)
        return (x - point.sigma * eps) / point.alpha, eps

    def unit(self, point: Point) -> float:
        """See ``Given``."""
        return point.alpha

    def moved(self, lam: Array) -> Array:
        """See ``Given``."""
        return -np.exp(-lam)
