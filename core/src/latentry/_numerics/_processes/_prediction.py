"""What a network's output means: x₀ and ε as linear forms of the sample and the output."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple

from latentry._numerics._processes._point import Point


class Prediction(StrEnum):
    """What the network was trained to predict; the values are diffusers' names."""

    EPSILON = "epsilon"
    """The noise ε."""
    V = "v_prediction"
    """α·ε − σ·x₀ (Salimans and Ho 2022, arXiv:2202.00512); made for variance-preserving processes."""
    X0 = "sample"
    """The clean sample."""
    FLOW = "flow_prediction"
    """ε − x₀, the velocity of a rectified flow."""
    EDM = "edm"
    """EDM's F: x₀ = c_skip·x̄ + c_out·F with x̄ = x/α (Karras et al. 2022, arXiv:2206.00364, table 1)."""


class Forms(NamedTuple):
    """x₀ = x0_x·x + x0_out·output and ε = eps_x·x + eps_out·output, as host floats."""

    x0_x: float
    x0_out: float
    eps_x: float
    eps_out: float


def forms(prediction: Prediction, point: Point, data_std: float = 0.5) -> Forms:
    """The forms of a prediction type at one noise level, from x = α·x₀ + σ·ε.

    Raises:
        ValueError: the other quantity cannot be derived there: from ε at α = 0, from x₀ at σ = 0.
    """
    a, s = point.alpha, point.sigma
    match prediction:
        case Prediction.EPSILON:
            if a == 0.0:
                raise ValueError("x₀ cannot be derived from predicted noise at α = 0")
            return Forms(1.0 / a, -s / a, 0.0, 1.0)
        case Prediction.V:
            power = a * a + s * s  # 1 on a variance-preserving process
            return Forms(a / power, -s / power, s / power, a / power)
        case Prediction.X0:
            if s == 0.0:
                raise ValueError("the noise cannot be derived from a predicted x₀ at σ = 0")
            return Forms(0.0, 1.0, 1.0 / s, -a / s)
        case Prediction.FLOW:
            return Forms(1.0 / (a + s), -s / (a + s), 1.0 / (a + s), a / (a + s))
        case Prediction.EDM:
            # c_skip and c_out at σ/α on x/α, multiplied out: finite at α = 0 and, as is (1 - α·x0_x)/σ, at σ = 0
            signal = a * data_std
            total = math.hypot(s, signal)
            return Forms(signal * data_std / total**2, s * data_std / total, s / total**2, -signal / total)
