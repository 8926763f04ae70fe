"""Stochastic Adams methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor

from latentry import Interval, Node, Noise, Point, Scheduler, Step, remember
from latentry.solvers import Guarded, ancestral, combine, exponential_weights, midpoint_weights


class Past(NamedTuple):
    """What a step remembers, for the next step to correct it.

    Attributes:
        nodes: x̂₀ of past evaluations, newest first.
        x: the last step's start, corrected.
        noise: the last step's noise, which predictor and corrector share.
        order: the corrector's order for the last step; 0 if it will not be corrected.
    """

    nodes: tuple[Node, ...] = ()
    x: Tensor | None = None
    noise: Tensor | None = None
    order: int = 0


class SASolver(Guarded, Scheduler):
    """SA-Solver (Xue et al. 2023, arXiv:2309.05019, algorithm 1), data prediction.

    One evaluation a step: a stochastic Adams-Bashforth step predicts (eq. 14), and the evaluation there corrects it by
    a stochastic Adams-Moulton step (eq. 17) at no further cost. With ``pece`` another evaluation follows a correction,
    and later steps look back on that one: the PECE mode of predictor-corrector methods.
    """

    Memory: ClassVar[type] = Past

    predictor: int = Field(default=2, ge=1, le=4, description="evaluations the predictor looks back on")
    corrector: int = Field(
        default=3, ge=0, le=4, description="evaluations the corrector uses, the newest included; 0: none"
    )
    pece: bool = Field(default=False, description="evaluate again after each correction: two evaluations a step")
    tau: float = Field(
        default=0.4, ge=0.0, le=3.0, description="τ: stochasticity; 0 is an ODE solver, 1 the reverse SDE"
    )
    tau_min: float = Field(default=0.0, ge=0.0, description="no noise in steps that start below this σ/α")
    tau_max: float = Field(default=math.inf, ge=0.0, description="no noise in steps that start above this σ/α")
    simplified: bool = Field(
        default=False,
        description="at order 2, weigh the slope by B(h) = (1 + τ²)·h, as the authors' code does",
    )
    lower_order_final: bool = Field(default=True, description="lower the order to the number of steps that remain")
    noise_scale: float = Field(default=1.0, ge=0.0, le=100.0, description="S_noise: multiplies the fresh noise")
    longest_step: float = Field(
        default=0.9,
        gt=0.0,
        description="longest step in λ at full order, half of it for the corrector; longer steps are first order",
    )

    def step(self, x: Tensor, interval: Interval, memory: Past, noise: Noise) -> Step:
        """Corrects the last step with the evaluation at its end, then predicts this one."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        if memory.order and memory.x is not None and denoised.real:
            new = (Node(start, denoised.x0), *memory.nodes[: memory.order - 1])
            before = memory.nodes[0].point
            reached, _ = ancestral(before, start, self._squared(before), "sde")
            corrected = self._move(memory.x, before, start, new, memory.noise)
            x = self.drawn_back(corrected, denoised, reached, first=x, start=before)
            if self.pece:
                denoised = yield start.query(x)
        nodes = remember(memory.nodes, denoised, "x0", max(self.predictor, self.corrector - 1))
        below, fresh = ancestral(start, end, self._squared(start), "sde")
        z = None if fresh == 0.0 else noise(self._clock(start, start), self._clock(start, end))
        if interval.h > self.longest_step or interval.singular or not denoised.real:
            y = denoised.at(below)
            return y if z is None else combine((1.0, y), (self.noise_scale * fresh, z)), Past(nodes)
        order = interval.order(self.predictor, nodes, lower_final=self.lower_order_final)
        y = self._move(x, start, end, nodes[:order], None)
        if order > 1:
            y = self.drawn_back(y, denoised, below, first=self._move(x, start, end, nodes[:1], None))
        if z is not None:
            y = combine((1.0, y), (self.noise_scale * fresh, z))
        return y, Past(nodes, x, z, self._correction(interval, nodes))

    def _move(self, x: Tensor, start: Point, end: Point, nodes: Sequence[Node], z: Tensor | None) -> Tensor:
        """Eqs. 14 and 17: the linear part exactly, x̂₀ as the polynomial in λ through the nodes, and the noise."""
        below, fresh = ancestral(start, end, self._squared(start), "sde")
        weights = self._weights([node.point.lam for node in nodes], start.lam, end.lam, 1.0 + self._squared(start))
        data = ((end.alpha * w, node.value) for w, node in zip(weights, nodes, strict=True))
        added = () if z is None else ((self.noise_scale * fresh, z),)
        return combine((below.sigma / start.sigma, x), *data, *added)

    def _weights(self, nodes: list[float], start: float, end: float, rate: float) -> tuple[float, ...]:
        if not self.simplified or len(nodes) != 2:
            return exponential_weights(nodes, start, end, rate)
        other = nodes[1] if nodes[0] == start else nodes[0]
        near, far = midpoint_weights(other, start, end, rate, rate * (end - start))
        return (near, far) if nodes[0] == start else (far, near)

    def _correction(self, interval: Interval, nodes: Sequence[Node]) -> int:
        """The corrector's order for the step over this interval: the evaluation at its end, and those before."""
        if interval.h > 0.5 * self.longest_step:
            return 0
        known = 1 + interval.order(self.corrector, nodes, lower_final=False)
        return min(self.corrector, known, interval.remaining + 1 if self.lower_order_final else known)

    def _squared(self, start: Point) -> float:
        """τ² of a step from this level."""
        return self.tau**2 if self.tau_min <= start.s <= self.tau_max else 0.0

    def _clock(self, start: Point, at: Point) -> float:
        """e^(2τ²λ), the variance of the noise in x̄ over the step's own decay."""
        return math.exp(2.0 * self._squared(start) * at.lam)
