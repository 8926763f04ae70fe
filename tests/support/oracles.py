"""Data whose denoiser and probability-flow path are known in closed form, and networks that emit it in any form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from latentry import EDM, Flow, Point, Prediction, Process, Query, Run, VariancePreserving

SD = VariancePreserving.from_betas()
ZTSNR = SD.zero_terminal_snr()
PROCESSES: dict[str, tuple[Process, Prediction]] = {
    "vp-epsilon": (SD, Prediction.EPSILON),
    "vp-v": (SD, Prediction.V),
    "vp-x0": (SD, Prediction.X0),
    "ztsnr-v": (ZTSNR, Prediction.V),
    "flow": (Flow(), Prediction.FLOW),
    "edm": (EDM(), Prediction.EDM),
}
"""A process and the prediction its models have, by name."""

Network = Callable[[Query], Tensor]


@dataclass(frozen=True)
class Gaussian:
    """Data distributed as N(mean, std²) in every element."""

    mean: float = 0.3
    std: float = 0.5

    def variance(self, point: Point) -> float:
        """Of x at a level."""
        return (point.alpha * self.std) ** 2 + point.sigma**2

    def x0(self, x: Tensor, point: Point) -> Tensor:
        """E[x₀ | x]."""
        gain = point.alpha * self.std**2 / self.variance(point)
        return self.mean + gain * (x - point.alpha * self.mean)

    def eps(self, x: Tensor, point: Point) -> Tensor:
        """E[ε | x]."""
        return point.sigma / self.variance(point) * (x - point.alpha * self.mean)

    def path(self, x: Tensor, begin: Point, end: Point) -> Tensor:
        """Where the probability flow takes x from one level to another: the standardised sample stays."""
        ratio = math.sqrt(self.variance(end) / self.variance(begin))
        return end.alpha * self.mean + ratio * (x - begin.alpha * self.mean)

    def network(self, prediction: Prediction, data_std: float = 0.5) -> Network:
        """A network that emits the truth in the form of a prediction type."""

        def evaluate(query: Query) -> Tensor:
            x0, eps = self.x0(query.x, query.point), self.eps(query.x, query.point)
            return emitted(prediction, query.point, x0, eps, data_std)

        return evaluate


def emitted(prediction: Prediction, point: Point, x0: Tensor, eps: Tensor, data_std: float = 0.5) -> Tensor:
    """What a network of a prediction type has to say for x₀ and ε, from the types' own definitions."""
    match prediction:
        case Prediction.EPSILON:
            return eps
        case Prediction.V:
            return point.alpha * eps - point.sigma * x0
        case Prediction.X0:
            return x0
        case Prediction.FLOW:
            return eps - x0
        case Prediction.EDM:  # Karras et al. 2022, table 1; x is α = 1's there
            sigma, x = point.s, x0 + point.s * eps
            total = sigma**2 + data_std**2
            return (x0 - data_std**2 / total * x) / (sigma * data_std / math.sqrt(total))


def finish(run: Run, network: Network) -> Tensor:
    """Answers every query, and gives the result."""
    while (query := run.query) is not None:
        run.advance(network(query))
    return run.sample


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def even_levels(process: Process, count: int, begin: float, end: float) -> tuple[Point, ...]:
    """Levels at equal distances in λ, ends included, given as σ/α."""
    first, last = -math.log(begin), -math.log(end)
    return tuple(process.at(lam=first + (last - first) * i / count) for i in range(count + 1))


def slope(errors: dict[int, float]) -> float:
    """The order of convergence: how fast the error falls with the number of steps."""
    (few, coarse), *_, (many, fine) = sorted(errors.items())
    return math.log(coarse / fine) / math.log(many / few)


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value."""
    return float((a - b).abs().max() / b.abs().max())
