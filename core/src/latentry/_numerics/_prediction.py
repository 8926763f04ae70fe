"""What a network's output means, as two linear forms."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple

from latentry._numerics._point import Point


class Prediction(StrEnum):
    """What the network was trained to emit; the values are diffusers' names."""

    EPSILON = "epsilon"
    """The noise ε."""
    V = "v_prediction"
    """α·ε − σ·x₀ on a variance-preserving process (Salimans and Ho 2022, arXiv:2202.00512)."""
    X0 = "sample"
    """The clean sample."""
    FLOW = "flow_prediction"
    """ε − x₀, the velocity of a rectified flow."""
    EDM = "edm"
    """EDM's F: x₀ = c_skip·x + c_out·F."""


class Forms(NamedTuple):
    """x₀ = x0_x·x + x0_out·output and ε = eps_x·x + eps_out·output, as host floats."""

    x0_x: float
    x0_out: float
    eps_x: float
    eps_out: float


def forms(prediction: Prediction, point: Point, data_std: float = 0.5) -> Forms:
    """The forms of a prediction type at one noise level, from x = α·x₀ + σ·ε.

    Raises:
        ValueError: the prediction says nothing there: ε at α = 0, x₀ about the noise at σ = 0.
    """
    a, s = point.alpha, point.sigma
    match prediction:
        case Prediction.EPSILON:
            if a == 0.0:
                raise ValueError("a model that predicts noise says nothing at α = 0")
            return Forms(1.0 / a, -s / a, 0.0, 1.0)
        case Prediction.V:
            return Forms(a, -s, s, a)
        case Prediction.X0:
            if s == 0.0:
                raise ValueError("a model that predicts x₀ says nothing about the noise at σ = 0")
            return Forms(0.0, 1.0, 1.0 / s, -a / s)
        case Prediction.FLOW:
            return Forms(1.0 / (a + s), -s / (a + s), 1.0 / (a + s), a / (a + s))
        case Prediction.EDM:
            total = math.hypot(s, data_std)
            skip, out = (data_std / total) ** 2, s * data_std / total
            # (1 - c_skip)/σ = σ/(σ² + σ_data²), finite at σ = 0
            return Forms(skip, out, s / total**2, -data_std / total)
