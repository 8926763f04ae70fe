"""What a noise process is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

from latentry._numerics._processes._point import Point
from latentry._specs import ProcessKind


class Process(ABC):
    """How noise was added in training: x_t = α(t)·x₀ + σ(t)·ε, and the network's own clock t.

    Attributes:
        kind: ``vp``, ``flow`` or ``edm``.
        timesteps: how many discrete training timesteps there are; None where time is continuous.
        data_std: standard deviation of the data, which EDM's parametrisation uses.
        noisiest: the noisiest level of training, where sampling begins.
        cleanest: the least noisy level of training, the ``table`` ending.
    """

    kind: ClassVar[ProcessKind]
    timesteps: int | None = None
    data_std: float = 0.5

    @property
    @abstractmethod
    def noisiest(self) -> Point: ...

    @property
    @abstractmethod
    def cleanest(self) -> Point: ...

    @abstractmethod
    def at_lam(self, lam: float) -> Point:
        """The level of log(α/σ) = ``lam``; ±∞ are the two ends. Its timestep is kept within the trained range."""

    @abstractmethod
    def at_timestep(self, timestep: float) -> Point:
        """The level the network knows as ``timestep``, which need not be whole.

        Raises:
            ValueError: outside the trained range.
        """

    def at(self, *, lam: float | None = None, s: float | None = None, timestep: float | None = None) -> Point:
        """The level given by exactly one of λ = log(α/σ), s = σ/α and the network's timestep."""
        if timestep is not None and lam is None and s is None:
            return self.at_timestep(timestep)
        if s is not None and lam is None and timestep is None:
            return self.at_lam(lam_of(s))
        if lam is not None and s is None and timestep is None:
            return self.at_lam(lam)
        raise TypeError("at() takes exactly one of lam, s and timestep")

    def customary(self, sigma: float) -> Point:
        """The level that a peer's sigma list means by ``sigma``: σ/α here, σ on flow."""
        return self.at(s=sigma)

    def clean(self) -> Point:
        """σ = 0."""
        return self.at_lam(math.inf)


def lam_of(s: float) -> float:
    """λ = −log s, with both ends."""
    if s == 0.0:
        return math.inf
    return -math.log(s) if s < math.inf else -math.inf


def s_of(lam: float) -> float:
    """s = e^(−λ), with both ends; ∞ where it would overflow."""
    return math.exp(-lam) if lam > -700.0 else math.inf
