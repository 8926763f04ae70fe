"""Targets drawn by a seed, on which nothing can have been chosen: many at once, with the exact ends of their paths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from typing import Self

import torch
from torch import Tensor

from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import Oracle

TOLERANCE = 1e-8
"""Of the reference paths: far below any error that is measured here."""


@dataclass(frozen=True)
class DrawnTargets(Oracle):
    """Mixtures of Gaussians in many dimensions, guided or not; a sample's row says which target it is of.

    The components of a target have covariances with the spectrum of images, k^−p, and means of the same spectrum, so
    that broad structure differs between them most. All targets together have variance 1.

    Attributes:
        means: (targets, components, dimensions), float64.
        variances: likewise, of each component along each dimension.
        weights: (targets, components).
        asked: (targets, components), True where the prompt asks for the component.
        starts: (targets, starts, dimensions): standard normal noise.
        guidance: (targets,): scale of classifier-free guidance towards what is asked for; 1 asks for everything.
    """

    means: Tensor
    variances: Tensor
    weights: Tensor
    asked: Tensor
    starts: Tensor
    guidance: Tensor

    @classmethod
    def draw(
        cls,
        seed: int,
        count: int = 16,
        *,
        components: int = 5,
        dimensions: int = 24,
        starts: int = 6,
        guidance: Sequence[float] = (1.0,),
    ) -> Self:
        """Targets from a seed; the same seed with another guidance has the same targets and starts.

        Args:
            seed: of all that is drawn.
            count: how many.
            components: of each.
            dimensions: of a sample.
            starts: how many of each target.
            guidance: scales that the targets have in turn.
        """
        generator = torch.Generator().manual_seed(seed)

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

        modes = torch.arange(1, dimensions + 1, dtype=torch.float64)
        power = uniform(0.0, 2.0, count, 1, 1)
        spectrum = modes**-power
        spectrum = spectrum / spectrum.mean(-1, keepdim=True)
        # from blurred to sharp: how much of the variance is within the components
        within = 10.0 ** uniform(-1.6, -0.2, count, components, 1)
        normal = torch.randn(count, components, dimensions, generator=generator, dtype=torch.float64)
        means = normal * ((1.0 - within.mean(1, keepdim=True)) * spectrum).sqrt()
        weights = torch.softmax(uniform(-1.0, 1.0, count, components), -1)
        asked = torch.arange(components).expand(count, -1) < torch.randint(1, 3, (count, 1), generator=generator)
        start = torch.randn(count, starts, dimensions, generator=generator, dtype=torch.float64)
        scales = torch.tensor([scale for _, scale in zip(range(count), cycle(guidance), strict=False)])
        return cls(means, within * spectrum, weights, asked, start, scales.double())

    def predict(self, x: Tensor, point: Point) -> tuple[Tensor, Tensor]:
        """See ``Oracle``; x is (targets · starts, dimensions)."""
        a, s = point.alpha, point.sigma
        rows = x.reshape(*self.starts.shape[:2], 1, -1)
        means, variances = self.means[:, None], self.variances[:, None]
        spread = a * a * variances + s * s
        off = (rows - a * means) / spread
        logits = self.weights.log()[:, None] - 0.5 * ((rows - a * means) * off + spread.log()).sum(-1)
        each = means + a * variances * off
        x0 = self._mean(each, logits)
        eps = self._mean(s * off, logits)
        if bool((self.guidance != 1.0).any()):
            scale, asked = self.guidance[:, None, None], self.asked | (self.guidance == 1.0)[:, None]
            wanted = logits.masked_fill(~asked[:, None], -math.inf)
            x0 = torch.lerp(x0, self._mean(each, wanted), scale)
            eps = torch.lerp(eps, self._mean(s * off, wanted), scale)
        return x0.reshape(x.shape), eps.reshape(x.shape)

    @staticmethod
    def _mean(each: Tensor, logits: Tensor) -> Tensor:
        shares = (logits - logits.amax(-1, keepdim=True)).exp()
        return ((shares / shares.sum(-1, keepdim=True))[..., None] * each).sum(-2)

    @cached_property
    def _ends(self) -> dict[tuple[str, float], Tensor]:
        return {}

    def end(self, process: Process) -> Tensor:
        """Where the exact paths from the process's noisiest level end, (targets · starts, dimensions)."""
        first = process.noisiest
        key = (process.kind, first.lam)
        if key not in self._ends:
            x = max(1.0, first.sigma) * self.starts.flatten(0, 1)
            self._ends[key] = self.path(x, first, process.clean(), tolerance=TOLERANCE)
        return self._ends[key]

    def errors(self, plan: Plan) -> Tensor:
        """(targets,): how far results lie from the exact ends, as a part of the signal's size; root mean squares."""
        exact = self.end(plan.process)
        x = plan.noise_scale() * self.starts.flatten(0, 1)
        off = drive(plan, x, self.answer) - exact
        size, miss = (each.reshape(len(self.starts), -1).square().mean(-1).sqrt() for each in (exact, off))
        return miss / size
