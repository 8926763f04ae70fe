"""The error of a result: against the end of the exact path, or against the exact variance if stochastic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from latentry._numerics._plan import Plan
from latentry.testing._checks._variance import VARIANCES
from latentry.testing._networks._drive import drive
from latentry.testing._networks._moments import moments
from latentry.testing._networks._oracles import MixtureOracle, Oracle, SpectrumOracle

ResultError = Callable[[Plan], float]
"""The error of a plan's result."""

POINTS = 128


def path_errors() -> Mapping[str, ResultError]:
    """For deterministic schedulers, by oracle: a mixture in the plane, and a Gaussian with the spectrum of images."""
    spectrum = SpectrumOracle()
    # its path is linear in x: what unit starts show is the mean over all
    return {
        "mixture": PathError(MixtureOracle(), normal_points(POINTS)),
        "spectrum": PathError(spectrum, torch.ones(1, len(spectrum.variance), dtype=torch.float64)),
    }


def variance_errors() -> Mapping[str, ResultError]:
    """For stochastic schedulers, by oracle: Gaussians of three variances, and the spectrum of images."""
    return {
        "gaussians": variance_error(torch.tensor(VARIANCES, dtype=torch.float64)),
        "spectrum": variance_error(SpectrumOracle().variance, together=True),
    }


class PathError:
    """How far results lie from where the exact path leads at σ = 0: root mean square over starts and elements.

    The path begins where the run begins, with the noise a generation begins with.

    Args:
        oracle: the data.
        starts: standard normal noise, float64.
    """

    def __init__(self, oracle: Oracle, starts: Tensor) -> None:
        self._oracle, self._starts = oracle, starts
        self._ends: dict[tuple[str, float], Tensor] = {}

    def __call__(self, plan: Plan) -> float:
        """The error of a plan's result."""
        x = plan.noise_scale() * self._starts
        return rms(drive(plan, x, self._oracle.answer) - self._end(plan, x))

    def _end(self, plan: Plan, x: Tensor) -> Tensor:
        first = plan.points[0]
        key = (plan.process.kind, first.lam)
        if key not in self._ends:
            self._ends[key] = self._oracle.path(x, first, plan.process.clean())
        return self._ends[key]


def variance_error(data: Tensor, *, together: bool = False) -> ResultError:
    """Relative error of the result's variance: root mean square over the data's variances, without chance.

    Args:
        data: variances of Gaussian data of mean 0.
        together: they are those of one sample's elements, which matters to a guard.
    """
    return lambda plan: rms(moments(plan, data, mean=0.0, together=together)[1] / data - 1.0)


def normal_points(count: int) -> Tensor:
    """(count, 2): points that fill the plane as a standard normal distribution does, on a spiral."""
    index = torch.arange(count, dtype=torch.float64)
    radius = (-2.0 * torch.log1p(-(index + 0.5) / count)).sqrt()
    angle = index * math.pi * (3.0 - math.sqrt(5.0))
    return torch.stack((radius * angle.cos(), radius * angle.sin()), 1)


def rms(values: Tensor) -> float:
    """Root mean square."""
    return float(values.square().mean().sqrt())
