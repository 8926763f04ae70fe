"""Pseudo numerical methods for diffusion models."""

from __future__ import annotations

from collections.abc import Generator
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from latentry import Denoised, History, Interval, Noise, Point, Query, Scheduler, Step, remember
from latentry.solvers import STAGES, GuardedStages, combine, polynomial_weights, slope_step

Slope = Generator[Query, Denoised, Tensor]
"""Asks for further evaluations, and gives the ε of a step, or where the step leads."""


class PNDM(GuardedStages, Scheduler):
    """PNDM (Liu et al. 2022, arXiv:2202.09778): pseudo linear multistep (PLMS, eq. 12) after three pseudo Runge-Kutta
    steps (PRK, eq. 13) or, with ``skip_prk``, after one of improved Euler, as Stable Diffusion uses it.

    Order 2 on any grid, one evaluation a step; the first takes two, or each of the first three four. The transfer φ of
    eq. 11 is DDIM's step, and PLMS has the weights of even steps in s = σ/α.
    """

    Memory: ClassVar[type] = History
    guard_slack: ClassVar[float] = 1.0  # most steps look back, and have not seen where they lead

    skip_prk: bool = Field(default=True, description="begin with one step of two evaluations in place of three of four")
    middle: Literal["s", "timestep"] = Field(
        default="s",
        description="where PRK's middle lies: halfway in s = σ/α, or in the network's timestep as in the paper",
    )
    arrival: Literal["x0", "full"] = Field(
        default="x0", description="the step into σ = 0: first order, which lands on x₀, or full order as in diffusers"
    )
    stable: bool = Field(
        default=True, description="lower PLMS's order to 3 or 2 where a step is too long for it to be stable"
    )

    def step(self, x: Tensor, interval: Interval, memory: History, noise: Noise) -> Step:
        """ε′ from the history or, while that is short, from further evaluations; then φ(x, ε′)."""
        start, end = interval.start, interval.end
        here = yield start.query(x)
        nodes = remember(memory.nodes, here, "eps", 4)
        order = interval.order(4, nodes, lower_final=False, into_clean=self.arrival == "full")
        if not interval.singular and order < 2 and self.skip_prk:
            return (yield from self._improved_euler(x, here, end)), History(nodes)
        if not interval.singular and order < 4 and not self.skip_prk:
            prime = yield from self._prk(x, here, interval)
        elif order == 1:
            return here.at(end), History(nodes)
        else:
            order = interval.stable_order(order) if self.stable else order
            weights = polynomial_weights([-float(j) for j in range(order)], 0.0, 1.0)
            prime = combine(*((w, node.value) for w, node in zip(weights, nodes, strict=False)))
        return self.drawn_back(_transfer(x, prime, start, end), here, end), History(nodes)

    def _improved_euler(self, x: Tensor, here: Denoised, end: Point) -> Slope:
        """The step with the mean of ε at both ends."""
        guess = here.at(end)
        there = yield end.query(guess)
        full = _transfer(x, combine((0.5, here.eps), (0.5, there.eps)), here.point, end)
        if not self.guard_stages:
            return self.drawn_back(full, here, end)
        return self.drawn_back_to_mean(full, guess, here, there, end, slack=STAGES)

    def _prk(self, x: Tensor, first: Denoised, interval: Interval) -> Slope:
        """Eq. 13, e₁ to e₄."""
        start, end = interval.start, interval.end
        half = self._half(interval)
        second = yield half.query(first.at(half))
        third = yield half.query(_transfer(x, second.eps, start, half))
        fourth = yield end.query(_transfer(x, third.eps, start, end))
        return combine((1 / 6, first.eps), (1 / 3, second.eps), (1 / 3, third.eps), (1 / 6, fourth.eps))

    def _half(self, interval: Interval) -> Point:
        start, end = interval.start, interval.end
        if self.middle == "timestep":
            return interval.at(timestep=0.5 * (start.timestep + end.timestep))
        return interval.at(s=0.5 * (start.s + end.s))


def _transfer(x: Tensor, eps: Tensor, start: Point, end: Point) -> Tensor:
    """φ of eq. 11: DDIM's step from x with this ε."""
    return slope_step(x, start, end, (end.s - start.s,), (eps,))
