"""Fitting a grid and coefficients to reference results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from latentry import Point, Process
from latentry_tune._coefficients import Array, Coefficients, Method
from latentry_tune._following import Denoise, Path, distances, follow, next_sample
from latentry_tune._reference import Reference

DEPTH = 2
"""How many earlier answers a step may have shares of."""
RIDGE = DAMPING = 1e-2
FARTHEST = 0.5
"""Most by which one iteration changes an unknown."""
NUDGE = 0.02
"""By how much an unknown is changed to see what that does."""
PARTS = (1.0, 0.5, 0.25)
"""Of a change, tried in turn until one is an improvement."""
CLEANEST = 7.0
"""λ beyond which no step starts on a process that was trained down to σ = 0."""
OUTLIER = 0.1
"""Part of the mean error that is added to each row's before it is weighted."""


@dataclass(frozen=True)
class Fitted:
    """A method on a grid, and what is changed about its coefficients.

    Attributes:
        method: makes coefficients of boundaries.
        points: the boundaries.
        shares: (N, DEPTH), see ``Coefficients.changed``.
    """

    method: Method
    points: tuple[Point, ...]
    shares: Array

    @classmethod
    def unchanged(cls, method: Method, points: tuple[Point, ...]) -> Fitted:
        """The method as it is."""
        return cls(method, points, np.zeros((len(points) - 1, DEPTH)))

    @property
    def coefficients(self) -> Coefficients:
        """The coefficients that follow."""
        return self.method(self.points).changed(self.shares)

    def moved(self, change: Array, process: Process) -> Fitted | None:
        """With the unknowns changed; None where that leaves the noise levels of training.

        Args:
            change: of the logarithms of the steps' lengths (of the second boundary's λ, where the first is pure noise),
                and of the shares.
            process: makes the boundaries.
        """
        steps, lams, shares = len(self.shares), [self.points[0].lam], self.shares.copy()
        for i, value in enumerate(change[: steps - 1].tolist()):
            gap = self.points[i + 1].lam - self.points[i].lam
            lams.append(lams[-1] + gap * math.exp(value) if math.isfinite(gap) else self.points[i + 1].lam + value)
        if lams[-1] > min(process.cleanest.lam, CLEANEST) + 1e-9:
            return None
        for value, place in zip(change[steps - 1 :], places(steps), strict=True):
            shares[place] += value
        points = (self.points[0], *(process.at(lam=lam) for lam in lams[1:]), self.points[-1])
        return replace(self, points=points, shares=shares)


@dataclass(frozen=True)
class Fit:
    """The rows that something is fitted to.

    Attributes:
        denoise: the network.
        process: its noise process.
        reference: where the rows end, and their path.
        x: their samples at the noisiest level.
        rows: which of the problem's rows they are.
    """

    denoise: Denoise
    process: Process
    reference: Reference
    x: Tensor
    rows: Sequence[int]

    def some(self, part: slice) -> Fit:
        """Some of the rows."""
        return replace(self, reference=self.reference.some(part), x=self.x[part], rows=self.rows[part])

    def path(self, fitted: Fitted) -> Path:
        """Where it takes the rows."""
        return follow(self.denoise, fitted.coefficients, self.x, self.rows)

    def errors(self, end: Tensor) -> Tensor:
        """(rows,): distances of results from the references."""
        return distances(end, self.reference.end)

    def along_the_path(self, begun: Fitted) -> Fitted:
        """Each step's shares in turn, so that it comes as near to the reference path as it can (ridge regression).

        The shares of ``begun`` are not kept.
        """
        fitted = Fitted.unchanged(begun.method, begun.points)
        base, shares, points = fitted.coefficients, fitted.shares, fitted.points
        answers: list[Tensor] = []
        sample = self.x
        for i in range(len(base)):
            answers.append(self.denoise(sample, points[i], self.rows))
            sample = next_sample(base.changed(shares), i, self.x, answers)
            if i > 0:
                size = points[i + 1].alpha * -math.expm1(points[i].lam - points[i + 1].lam)
                missing = (self.reference.at(points[i + 1]) - sample).div(size)
                earlier = [answers[i - 1 - j] - answers[i] for j in range(min(i, DEPTH))]
                shares[i, : len(earlier)] = _regression(earlier, missing).clip(-FARTHEST, FARTHEST)
                sample = next_sample(base.changed(shares), i, self.x, answers)
        return fitted

    def improved(self, begun: Fitted, path: Path, halves: int) -> tuple[Fitted, Path]:
        """One iteration of Levenberg's and Marquardt's method over all unknowns, on the results alone.

        Args:
            begun: what is improved.
            path: of its rows.
            halves: 0 or 1: which half of the rows shows what the unknowns do. All of them judge.

        Returns:
            what is better and its path; what was given where nothing is.
        """
        part = slice(halves, None, 2)
        change, error = self.some(part)._change(begun, path.some(part)), self.errors(path.end).mean()
        for share in PARTS:
            tried = begun.moved(share * change, self.process)
            if tried is not None and self.errors((found := self.path(tried)).end).mean() < error:
                return tried, found
        return begun, path

    def _change(self, at: Fitted, path: Path) -> Array:
        """A damped step of Gauss and Newton.

        Rows count by the inverse root of their error, so that the mean of errors falls and not that of their squares.
        """
        off = self.errors(path.end)
        weights = (off + OUTLIER * off.mean()).clamp_min(1e-12).rsqrt()

        def residual(end: Tensor) -> Tensor:
            return ((end - self.reference.end).flatten(1).double() * weights[:, None]).flatten()

        here, slopes = residual(path.end), []
        unknowns = moves(len(at.shares))
        for number, since in enumerate(unknowns):
            nudged = at.moved(NUDGE * np.eye(len(unknowns))[number], self.process)
            if nudged is None:  # the last step's start cannot go lower
                slopes.append(torch.zeros_like(here))
                continue
            there = follow(self.denoise, nudged.coefficients, self.x, self.rows, path, since)
            slopes.append((residual(there.end) - here) / NUDGE)
        matrix = torch.stack(slopes)
        normal, pull = (matrix @ matrix.T).numpy(), (matrix @ here).numpy()
        diagonal = np.diagonal(normal)
        damped = normal + np.diag(DAMPING * diagonal + 1e-9 * diagonal.max() + 1e-30)
        return np.asarray(-np.linalg.solve(damped, pull)).clip(-FARTHEST, FARTHEST)


def places(steps: int) -> list[tuple[int, int]]:
    """The shares that there can be: of step i those of at most i earlier answers."""
    return [(i, j) for i in range(steps) for j in range(min(i, DEPTH))]


def moves(steps: int) -> list[int]:
    """For each unknown the first boundary whose sample it moves: the steps' lengths in λ, then the shares."""
    return [*range(1, steps), *(i + 1 for i, _ in places(steps))]


def _regression(features: Sequence[Tensor], goal: Tensor) -> Array:
    """The factors with which the features come nearest to the goal, drawn a little towards 0."""
    matrix = torch.stack([feature.flatten().double() for feature in features])
    normal = (matrix @ matrix.T).numpy()
    normal += (RIDGE * np.trace(normal) / len(features) + 1e-30) * np.eye(len(features))
    return np.asarray(np.linalg.solve(normal, (matrix @ goal.flatten().double()).numpy()))
