"""Following coefficients on a network, whole or from some step on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from latentry import Plan, Point
from latentry_tune._coefficients import Coefficients

Denoise = Callable[[Tensor, Point, Sequence[int]], Tensor]
"""(samples, their level, which of the problem's rows they are) → x₀ that the network predicts, guidance included."""


class Path(NamedTuple):
    """What a method made of its rows.

    Attributes:
        samples: at the N + 1 boundaries.
        answers: the network's x₀ at the first N.
    """

    samples: tuple[Tensor, ...]
    answers: tuple[Tensor, ...]

    @property
    def end(self) -> Tensor:
        """The result."""
        return self.samples[-1]

    def some(self, part: slice) -> Path:
        """The path of some of the rows."""
        return Path(tuple(x[part] for x in self.samples), tuple(x[part] for x in self.answers))


def follow(
    denoise: Denoise, method: Coefficients, x: Tensor, rows: Sequence[int], known: Path | None = None, since: int = 1
) -> Path:
    """The path of some rows.

    Args:
        denoise: the network.
        method: the coefficients.
        x: samples at the first boundary, (rows, …).
        rows: which of the problem's they are.
        known: a path of the same rows with coefficients that are the same before step ``since``: is not computed again.
        since: the first boundary whose sample is another.
    """
    samples, answers = ([x], []) if known is None else (list(known.samples[:since]), list(known.answers[:since]))
    for i in range(len(samples) - 1, len(method)):
        if len(answers) == i:
            answers.append(denoise(samples[i], method.points[i], rows))
        samples.append(next_sample(method, i, x, answers))
    return Path(tuple(samples), tuple(answers))


def next_sample(method: Coefficients, i: int, x: Tensor, answers: Sequence[Tensor]) -> Tensor:
    """The sample after step i."""
    sample = x.mul(method.start[i].item())
    for weight, answer in zip(method.weights[i].tolist(), answers, strict=False):
        if weight != 0.0:
            sample.add_(answer, alpha=weight)
    return sample


def finish(denoise: Denoise, plan: Plan, x: Tensor, rows: Sequence[int]) -> Tensor:
    """Where a scheduler's own plan for networks that predict x₀ takes some rows."""
    run = plan.start(x)
    while (query := run.query) is not None:
        run.advance(denoise(query.x, query.point, rows))
    return run.sample


def distances(found: Tensor, exact: Tensor) -> Tensor:
    """(rows,): root mean square of the difference, float64; infinite where a result is not finite."""
    off = (found - exact).flatten(1).to(torch.float64)
    return off.square().mean(1).sqrt().nan_to_num(nan=torch.inf)
