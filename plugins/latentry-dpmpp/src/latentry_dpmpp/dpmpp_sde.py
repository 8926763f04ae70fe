"""DPM-Solver++ SDE, single step."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from latentry import Interval, Node, Noise, NoMemory, Point, Scheduler, Step
from latentry.solvers import Ancestral, EtaRule, ancestral, combine
from latentry_dpmpp._rules import SOLVER_TEXT, Solver, two_step
from latentry_dpmpp._sde import ETA_TEXT, extrapolate


class DPMppSDE(Ancestral, Scheduler):
    """The SDE form of DPM-Solver++(2S) (Lu et al. 2022, arXiv:2211.01095, algorithm 1; Crowson's k-diffusion): weak
    order 2, two evaluations a step, one where it leaves α = 0 or reaches σ = 0.

    Both evaluations see one noise path. With independent draws for the part and the whole the weak order would be 1.
    """

    eta_rule: EtaRule = Field(default="sde", description=ETA_TEXT)
    r: float = Field(default=0.5, gt=0.0, lt=1.0, description="where in λ the second evaluation lies within the step")
    solver: Solver = Field(default="exact", description=SOLVER_TEXT)

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        """A first-order step to λ_start + r·h, then the whole step with x̂₀ linear in λ."""
        start, end = interval.start, interval.end
        denoised = yield start.query(x)
        below, deviation = self.lowered(interval)
        if interval.singular:
            return self.renoised(denoised.at(below), deviation, interval, noise), memory
        middle = interval.at(lam=start.lam + self.r * interval.h)
        above, part_deviation = ancestral(start, middle, self.eta, self.eta_rule)
        part, whole = self._path(start, middle, end, noise) if deviation > 0.0 else (x, x)  # x: times 0
        between = yield middle.query(combine((1.0, denoised.at(above)), (self.noise_scale * part_deviation, part)))
        nodes = Node(start, denoised.x0), Node(middle, between.x0)
        result = extrapolate(x, interval, below, nodes, two_step(self.solver))
        return combine((1.0, result), (self.noise_scale * deviation, whole)), memory

    def _path(self, start: Point, middle: Point, end: Point, noise: Noise) -> tuple[Tensor, Tensor]:
        """One Brownian path over the step's part and over the whole of it, each as standard normal noise."""
        begin, between, finish = self.clock(start), self.clock(middle), self.clock(end)
        early, late = noise(begin, between), noise(between, finish)
        share = (between - begin) / (finish - begin)
        return early, combine((math.sqrt(share), early), (math.sqrt(1.0 - share), late))
