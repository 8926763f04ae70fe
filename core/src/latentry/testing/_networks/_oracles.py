"""Networks that are exactly right: for these data the best denoiser is a formula, for Gaussians the whole path too.

With x = α·x₀ + σ·ε the best prediction of x₀ is its mean given x, and everything a network may be trained to emit
follows from it. The paths are those of the probability-flow equation (Song et al. 2021, arXiv:2011.13456, eq. 13).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._processes._prediction import Prediction
from latentry.testing._networks._integrate import integrate


class Oracle(ABC):
    """A network that knows the data's distribution; it computes in the dtype and on the device of x."""

    @abstractmethod
    def predict(self, x: Tensor, point: Point) -> tuple[Tensor, Tensor]:
        """The means of x₀ and of ε given x, of x's shape."""

    def path(self, x: Tensor, start: Point, end: Point, *, tolerance: float = 1e-13) -> Tensor:
        """Where the probability flow takes x of the level ``start`` at the level ``end``.

        Integrated over θ = atan2(σ, α): x/√(α² + σ²) = cos θ·x₀ + sin θ·ε moves with cos θ·ε − sin θ·x₀, which is
        smooth from pure noise (θ = π/2) to none (θ = 0).
        """

        def velocity(angle: float, y: Tensor) -> Tensor:
            level = Point(math.nan, math.cos(angle), math.sin(angle), math.nan)
            x0, eps = self.predict(y, level)
            return level.alpha * eps - level.sigma * x0

        begin, finish = math.atan2(start.sigma, start.alpha), math.atan2(end.sigma, end.alpha)
        y = integrate(velocity, x / math.hypot(start.alpha, start.sigma), begin, finish, tolerance=tolerance)
        return y * math.hypot(end.alpha, end.sigma)

    def output(self, x: Tensor, point: Point, prediction: Prediction, data_std: float = 0.5) -> Tensor:
        """What a network of this prediction type emits for x."""
        x0, eps = self.predict(x, point)
        a, s = point.alpha, point.sigma
        match prediction:
            case Prediction.EPSILON:
                return eps
            case Prediction.X0:
                return x0
            case Prediction.V:
                return a * eps - s * x0
            case Prediction.FLOW:
                return eps - x0
            case Prediction.EDM:
                # F of Karras et al. 2022, table 1, solved from x₀ = c_skip·x̄ + c_out·F with x = α·x₀ + σ·ε
                return (s * x0 - a * data_std**2 * eps) / (data_std * math.hypot(s, a * data_std))

    def answer(self, query: Query, plan: Plan) -> Tensor:
        """What a plan's network emits for a query."""
        return self.output(query.x, query.point, plan.prediction, plan.process.data_std)


class GaussianOracle(Oracle):
    """Data N(μ, d), elementwise independent: the denoiser is linear in x, the path a formula.

    Along the probability flow (x − α·μ)/√(α²·d + σ²) stays what it is, on every process and at both ends.

    Args:
        mean: μ, a number or a tensor that broadcasts against the sample.
        variance: d, likewise; 0 is data that is one point.
    """

    def __init__(self, mean: float | Tensor = 0.0, variance: float | Tensor = 0.25) -> None:
        self.mean, self.variance = (torch.as_tensor(value, dtype=torch.float64) for value in (mean, variance))

    def predict(self, x: Tensor, point: Point) -> tuple[Tensor, Tensor]:
        """See ``Oracle``."""
        mean, variance = self._like(x)
        off = (x - point.alpha * mean) / (point.alpha**2 * variance + point.sigma**2)
        return mean + point.alpha * variance * off, point.sigma * off

    def path(self, x: Tensor, start: Point, end: Point, *, tolerance: float = 0.0) -> Tensor:
        """See ``Oracle``; exact."""
        mean, _ = self._like(x)
        return end.alpha * mean + (x - start.alpha * mean) * self.spread(x, end) / self.spread(x, start)

    def spread(self, x: Tensor, point: Point) -> Tensor:
        """Standard deviation of x at a level: √(α²·d + σ²)."""
        _, variance = self._like(x)
        return (point.alpha**2 * variance + point.sigma**2).sqrt()

    def _like(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean.to(x), self.variance.to(x)


class SpectrumOracle(GaussianOracle):
    """Data with the spectrum of images: independent modes k = 1, 2, … of variance proportional to 1/k².

    Args:
        modes: how many; a sample has the shape (…, modes).
        variance: mean over the modes.
    """

    def __init__(self, modes: int = 256, variance: float = 1.0) -> None:
        spectrum = torch.arange(1, modes + 1, dtype=torch.float64) ** -2
        super().__init__(0.0, spectrum * (variance * modes / spectrum.sum()))


class MixtureOracle(Oracle):
    """Data from a mixture of round Gaussians in the plane: a denoiser that is not linear.

    Args:
        means: (components, 2).
        variance: of each component, the same in both directions.
        weights: of the components, equal by default.
    """

    def __init__(
        self,
        means: Sequence[tuple[float, float]] = ((1.0, 0.4), (-0.8, 0.9), (-0.2, -1.1)),
        variance: float = 0.2,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.means, self.variance = torch.tensor(means, dtype=torch.float64), variance
        self.weights = torch.tensor(weights or [1.0] * len(means), dtype=torch.float64)

    def predict(self, x: Tensor, point: Point) -> tuple[Tensor, Tensor]:
        """See ``Oracle``; the components' shares are a softmax over squared distances."""
        a, s = point.alpha, point.sigma
        means = self.means.to(x)
        spread = a * a * self.variance + s * s
        # by hand: torch's softmax and matrix products wake a pool of threads for a handful of numbers
        distance = (x[..., None, :] - a * means).square().sum(-1)
        logits = self.weights.to(x).log() - distance / (2 * spread)
        shares = (logits - logits.amax(-1, keepdim=True)).exp()
        shares = shares / shares.sum(-1, keepdim=True)
        nearest = (shares[..., None] * means).sum(-2)
        off = (x - a * nearest) / spread
        return nearest + a * self.variance * off, s * off


class GuidedOracle(Oracle):
    """Classifier-free guidance between two oracles: unguided + scale·(conditional − unguided).

    Args:
        conditional: what the prompt asks for.
        unguided: everything.
        scale: of the guidance; 1 is the conditional oracle.
    """

    def __init__(self, conditional: Oracle, unguided: Oracle, scale: float) -> None:
        self.conditional, self.unguided, self.scale = conditional, unguided, scale

    def predict(self, x: Tensor, point: Point) -> tuple[Tensor, Tensor]:
        """See ``Oracle``."""
        asked, free = self.conditional.predict(x, point), self.unguided.predict(x, point)
        x0, eps = (torch.lerp(u, c, self.scale) for u, c in zip(free, asked, strict=True))
        return x0, eps
